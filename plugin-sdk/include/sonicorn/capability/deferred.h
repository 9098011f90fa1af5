/* SPDX-License-Identifier: Apache-2.0 */
/*
 * deferred/1, a service: answer a request later, from any thread.
 */
#ifndef SONICORN_CAPABILITY_DEFERRED_H
#define SONICORN_CAPABILITY_DEFERRED_H

#include <sonicorn/abi.h>

#define SONICORN_CAPABILITY_DEFERRED "deferred/1"

SONICORN_BEGIN_C

struct sonicorn_response;
struct sonicorn_request;

/* One unanswered request. The pointer is valid until answer is called on it. */
struct sonicorn_deferral;

/* Since 1.0. */
typedef struct sonicorn_deferred {
  uint32_t size;     /* bytes of this struct */
  uint32_t reserved; /* 0 */

  /* Keeps the request open when on_request returns OK. NULL when it cannot be. Only inside
     on_request. [request-thread] Since 1.0. */
  struct sonicorn_deferral* (*begin)(struct sonicorn_response* response);

  /* The request, valid until answer is called. [any-thread] Since 1.0. */
  const struct sonicorn_request* (*request)(const struct sonicorn_deferral* deferral);

  /* The response to fill in, valid until answer is called; `allocate` works on it.
     [any-thread] Since 1.0. */
  struct sonicorn_response* (*response)(struct sonicorn_deferral* deferral);

  /* Sends it, exactly once. `result` as of on_request. [any-thread] Since 1.0. */
  void (*answer)(struct sonicorn_deferral* deferral, int32_t result);
} sonicorn_deferred;

SONICORN_STATIC_ASSERT(offsetof(sonicorn_deferred, answer) == 32, "ABI 1 layout");
SONICORN_STATIC_ASSERT(sizeof(sonicorn_deferred) == 40, "ABI 1.0 layout");

SONICORN_END_C

#endif
