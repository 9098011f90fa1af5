/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drain/1, a promise and a function: the attribute drain is called when a stop or a reload is
 * decided, and an app that declined ("not yet") says here when it is done.
 */
#ifndef SONICORN_CAPABILITY_DRAIN_H
#define SONICORN_CAPABILITY_DRAIN_H

#include <sonicorn/abi.h>

#define SONICORN_CAPABILITY_DRAIN "drain/1"

SONICORN_BEGIN_C

struct sonicorn_server;

/* Since 1.0. */
typedef struct sonicorn_drain_promise {
  uint32_t size;     /* bytes of this struct */
  uint32_t grace_ms; /* how long the server waits for finished() */

  /* The drain that was declined is done. Calls without a drain under way do nothing.
     [any-thread] Since 1.0. */
  void (*finished)(const struct sonicorn_server* server);
} sonicorn_drain_promise;

SONICORN_STATIC_ASSERT(offsetof(sonicorn_drain_promise, finished) == 8, "ABI 1 layout");
SONICORN_STATIC_ASSERT(sizeof(sonicorn_drain_promise) == 16, "ABI 1.0 layout");

SONICORN_END_C

#endif
