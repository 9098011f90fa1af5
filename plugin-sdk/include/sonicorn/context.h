/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The call context: the first argument of every attribute. It says what happens, why, where, and
 * until when. It and all it points to belong to the server and are valid until the call returns.
 */
#ifndef SONICORN_CONTEXT_H
#define SONICORN_CONTEXT_H

#include <sonicorn/abi.h>

/* sonicorn_context.scope: what the call is about. */
#define SONICORN_SCOPE_SERVER 1u
#define SONICORN_SCOPE_WORKER 2u
#define SONICORN_SCOPE_APP 3u
#define SONICORN_SCOPE_REQUEST 4u
#define SONICORN_SCOPE_BUS 5u

/* sonicorn_context.reason: why it happens. */
#define SONICORN_REASON_NONE 0u
#define SONICORN_REASON_TERM 1u           /* SIGTERM */
#define SONICORN_REASON_INT 2u            /* SIGINT: Ctrl-C */
#define SONICORN_REASON_QUIT 3u           /* SIGQUIT */
#define SONICORN_REASON_RELOAD 4u         /* a reload was asked for */
#define SONICORN_REASON_ADMIN_STOP 5u     /* the control API */
#define SONICORN_REASON_FILE_CHANGED 6u   /* the app's file changed */
#define SONICORN_REASON_CONFIG_CHANGED 7u /* the configuration changed */
#define SONICORN_REASON_ROLLBACK 8u       /* return to the previous build */
#define SONICORN_REASON_MAX_REQUESTS 9u   /* the worker is recycled */
#define SONICORN_REASON_HOST_UPGRADE 10u  /* the server itself is replaced */
#define SONICORN_REASON_TEST 11u          /* a test host or a conformance run */
#define SONICORN_REASON_START_FAILED 12u  /* the server could not finish its own start */
#define SONICORN_REASON_CALL_ENDED 13u    /* a one-shot call is over */

/* sonicorn_context.process_role */
#define SONICORN_PROCESS_WORKER 1u
#define SONICORN_PROCESS_CALL 2u /* one-shot call from the command line */
#define SONICORN_PROCESS_TEST 3u /* the SDK's test host, or a conformance run */

/* sonicorn_context.thread_role */
#define SONICORN_THREAD_LIFECYCLE 1u
#define SONICORN_THREAD_IO 2u
#define SONICORN_THREAD_POOL 3u
#define SONICORN_THREAD_BACKGROUND 4u

SONICORN_BEGIN_C

struct sonicorn_server;

/* Since 1.0. */
typedef struct sonicorn_context {
  uint32_t size;                        /* bytes of this struct */
  uint32_t scope;                       /* SONICORN_SCOPE_... */
  uint32_t reason;                      /* SONICORN_REASON_... */
  int32_t signal_number;                /* the signal behind the reason, or 0 */
  int32_t process_id;                   /* pid */
  uint32_t process_role;                /* SONICORN_PROCESS_... */
  uint32_t worker_index;                /* from 0 */
  uint32_t thread_role;                 /* SONICORN_THREAD_... */
  uint64_t thread_id;                   /* as gettid(2) */
  uint64_t generation;                  /* of this app in this server, from 1 */
  uint64_t deadline_ns;                 /* CLOCK_MONOTONIC in nanoseconds; 0: none */
  sonicorn_string event;                /* the attribute's name; for on_event the action */
  sonicorn_string message;              /* optional; for on_event JSON */
  const struct sonicorn_server* server; /* the same in each call of one generation */

  /*
   * Says why this call fails. The server logs the text with the app's name; it is never shown to a
   * client. The text is copied; a later call replaces it.
   * Only during the call that this context was given to, on its thread. Since 1.0.
   */
  void (*set_error)(const struct sonicorn_context* context, const char* text, uint64_t text_size);
} sonicorn_context;

SONICORN_STATIC_ASSERT(offsetof(sonicorn_context, generation) == 40, "ABI 1 layout");
SONICORN_STATIC_ASSERT(offsetof(sonicorn_context, server) == 88, "ABI 1 layout");
SONICORN_STATIC_ASSERT(sizeof(sonicorn_context) == 104, "ABI 1.0 layout");

/* Fails the current call with a text that ends in a zero byte: `return sonicorn_fail(context,
 * "..")`. */
static inline int32_t sonicorn_fail(const sonicorn_context* context, const char* text) {
  context->set_error(context, text, (uint64_t)__builtin_strlen(text));
  return SONICORN_ERROR;
}

SONICORN_END_C

#endif
