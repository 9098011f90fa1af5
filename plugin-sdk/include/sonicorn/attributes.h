/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The attributes: what an app may export. Each is optional; the server calls exactly those that the
 * object itself defines as functions, and never one that it does not.
 *
 * Order for one generation:
 *   start < load_state < health < ready < (requests) < drain < (in-flight end)
 *         < save_state < shutdown
 *
 * All but those tagged [request-thread] run on one and the same thread of their generation, its
 * lifecycle thread.
 *
 * Each returns SONICORN_OK, above 0 for "declined", below 0 for an error (say why with
 * sonicorn_fail). No C++ exception may leave an attribute.
 */
#ifndef SONICORN_ATTRIBUTES_H
#define SONICORN_ATTRIBUTES_H

#include <sonicorn/context.h>
#include <sonicorn/request.h>
#include <sonicorn/response.h>
#include <sonicorn/server.h>
#include <sonicorn/state.h>
#include <sonicorn/websocket.h>

/* The one list of them all; the exported symbol of NAME is sonicorn_NAME. */
#define SONICORN_ATTRIBUTES(X) \
  X(start)                     \
  X(load_state)                \
  X(health)                    \
  X(ready)                     \
  X(on_request)                \
  X(pre_request)               \
  X(post_request)              \
  X(on_disconnect)             \
  X(on_websocket_open)         \
  X(on_websocket_message)      \
  X(on_websocket_close)        \
  X(on_event)                  \
  X(thread_start)              \
  X(thread_exit)               \
  X(reload)                    \
  X(save_state)                \
  X(drain)                     \
  X(shutdown)                  \
  X(describe)

/* The argument `phase` of sonicorn_reload. */
#define SONICORN_RELOAD_SETTINGS 1u /* same code, new settings: apply them, or decline */
#define SONICORN_RELOAD_PREPARE 2u  /* a new build is about to replace this one; decline to veto */
/* The new build was dropped: this generation stays, also when it was told to drain already. */
#define SONICORN_RELOAD_ABORTED 3u

/* sonicorn_outcome.result */
#define SONICORN_OUTCOME_SENT 1u         /* the whole response was handed to the kernel */
#define SONICORN_OUTCOME_DISCONNECTED 2u /* the client went away */
#define SONICORN_OUTCOME_TIMED_OUT 3u    /* the handler outlived the request time */
#define SONICORN_OUTCOME_FAILED 4u       /* the handler failed: a 500 was sent */

SONICORN_BEGIN_C

/* How a request ended, for post_request. Since 1.0. */
typedef struct sonicorn_outcome {
  uint32_t size;        /* bytes of this struct */
  uint32_t result;      /* SONICORN_OUTCOME_... */
  uint32_t status;      /* the status that was sent; 0 when none was */
  uint32_t reserved;    /* 0 */
  uint64_t body_size;   /* bytes of the response body */
  uint64_t duration_ns; /* from the last byte of the request to the end of the response */
} sonicorn_outcome;

SONICORN_STATIC_ASSERT(sizeof(sonicorn_outcome) == 32, "ABI 1.0 layout");

/* Once per generation and process, before it receives requests. `*state` (preset NULL) is what
   every later call receives. An error drops the candidate; nothing else of it is called then.
   [lifecycle-thread] Since 1.0. */
SONICORN_EXPORT int32_t sonicorn_start(const sonicorn_context* context, void** state);

/* After start, when the previous generation saved a state. Declining is a fresh start, and
   recorded. `saved` is the server's until the call returns. [lifecycle-thread] Since 1.0. */
SONICORN_EXPORT int32_t sonicorn_load_state(const sonicorn_context* context, void* state,
                                            const sonicorn_blob* saved);

/* Before the switch to this generation, then periodically. An error: an unhealthy candidate is
   dropped, an unhealthy live app makes readiness fail. [lifecycle-thread] Since 1.0. */
SONICORN_EXPORT int32_t sonicorn_health(const sonicorn_context* context, void* state);

/* After the switch to this generation: requests may arrive. [lifecycle-thread] Since 1.0. */
SONICORN_EXPORT int32_t sonicorn_ready(const sonicorn_context* context, void* state);

/* Each request on the app's mount. An error is a 500 that does not show the text; declined is a
   404. [request-thread] Since 1.0. */
SONICORN_EXPORT int32_t sonicorn_on_request(const sonicorn_context* context, void* state,
                                            const sonicorn_request* request,
                                            sonicorn_response* response);

/* Before the handler, for requests under the app's mount, also those that no handler answers, in
   load order. OK goes on, and the fields of `response` are set on the final answer: one takes the
   place of the handler's of that name, Set-Cookie is added. Declined sends `response` and skips the
   handler and the filters behind; an error is a 500. `*exchange` (preset NULL) is handed to
   post_request. [request-thread] Since 1.0. */
SONICORN_EXPORT int32_t sonicorn_pre_request(const sonicorn_context* context, void* state,
                                             const sonicorn_request* request,
                                             sonicorn_response* response, void** exchange);

/* After the response, in reverse order: exactly once for each pre_request that returned OK, and
   for each request where the app declares no pre_request; also after an error, a disconnect or a
   time-out, when the handler may still be running. [request-thread] Since 1.0. */
SONICORN_EXPORT int32_t sonicorn_post_request(const sonicorn_context* context, void* state,
                                              const sonicorn_request* request,
                                              const sonicorn_outcome* outcome, void* exchange);

/* The client went away before the response ended: told to the handler's app, whose handler may be
   running, and to the filters that the request had passed; before post_request. [request-thread]
   Since 1.0. */
SONICORN_EXPORT int32_t sonicorn_on_disconnect(const sonicorn_context* context, void* state,
                                               const sonicorn_request* request);

/* A WebSocket handshake on the mount. OK accepts; declined and error refuse it. `*session` (preset
   NULL) is handed to the other two. [request-thread] Since 1.0. */
SONICORN_EXPORT int32_t sonicorn_on_websocket_open(const sonicorn_context* context, void* state,
                                                   const sonicorn_request* request,
                                                   struct sonicorn_websocket* websocket,
                                                   void** session);

/* One whole message, one at a time per connection. [request-thread] Since 1.0. */
SONICORN_EXPORT int32_t sonicorn_on_websocket_message(const sonicorn_context* context, void* state,
                                                      struct sonicorn_websocket* websocket,
                                                      void* session,
                                                      const sonicorn_websocket_message* message);

/* Exactly once for each accepted open, and the last call for it. [request-thread] Since 1.0. */
SONICORN_EXPORT int32_t sonicorn_on_websocket_close(const sonicorn_context* context, void* state,
                                                    struct sonicorn_websocket* websocket,
                                                    void* session,
                                                    const sonicorn_websocket_end* end);

/* A server event that no attribute of its own takes, or a message of the bus: context->scope says
   whose, context->event which, context->message what (JSON). capability/events.h lists them.
   [lifecycle-thread] Since 1.0. */
SONICORN_EXPORT int32_t sonicorn_on_event(const sonicorn_context* context, void* state);

/* First call on each thread that will run this generation's request calls. Anything but OK keeps
   that thread away from it: other threads take its requests, and they fail when there is none.
   [request-thread] Since 1.0. */
SONICORN_EXPORT int32_t sonicorn_thread_start(const sonicorn_context* context, void* state);

/* Last call on each thread whose thread_start returned OK, before shutdown. [request-thread]
   Since 1.0. */
SONICORN_EXPORT int32_t sonicorn_thread_exit(const sonicorn_context* context, void* state);

/* See SONICORN_RELOAD_...; the new settings are in context->message (JSON), and stay the app's
   concern: server->settings is what the generation began with. Where it declines or fails, the app
   goes on with its former settings. Absent, a change of settings is a new generation.
   [lifecycle-thread] Since 1.0. */
SONICORN_EXPORT int32_t sonicorn_reload(const sonicorn_context* context, void* state,
                                        uint32_t phase);

/* The old generation, after its last request. Fill in `saved`; declining means there is nothing to
   keep. [lifecycle-thread] Since 1.0. */
SONICORN_EXPORT int32_t sonicorn_save_state(const sonicorn_context* context, void* state,
                                            sonicorn_blob* saved);

/* A stop or a reload is decided and connections are still open: finish streams, stop intake.
   Requests may still arrive. Declined means "not yet": say so later through drain/1; the server
   waits for that until context->deadline_ns. [lifecycle-thread] Since 1.0. */
SONICORN_EXPORT int32_t sonicorn_drain(const sonicorn_context* context, void* state);

/* After the last request returned: exactly once for each start that returned OK, never from a
   signal handler, before any destructor or unload, also if no request was ever served.
   context->reason, signal_number and deadline_ns say why and until when. [lifecycle-thread]
   Since 1.0. */
SONICORN_EXPORT int32_t sonicorn_shutdown(const sonicorn_context* context, void* state);

/* A live app is inspected: a JSON object of whatever it has to say (routes, OpenAPI).
   [lifecycle-thread] Since 1.0. */
SONICORN_EXPORT int32_t sonicorn_describe(const sonicorn_context* context, void* state,
                                          sonicorn_blob* description);

SONICORN_END_C

#endif
