/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shutdown/1, a promise: the server calls the attribute shutdown before the app's process ends or
 * its code goes, exactly once for each start that returned OK.
 */
#ifndef SONICORN_CAPABILITY_SHUTDOWN_H
#define SONICORN_CAPABILITY_SHUTDOWN_H

#include <sonicorn/abi.h>

#define SONICORN_CAPABILITY_SHUTDOWN "shutdown/1"

SONICORN_BEGIN_C

/* Bits of sonicorn_shutdown_promise.not_on: endings before which no server can call anything, or
 * will not. */
#define SONICORN_SHUTDOWN_NOT_ON_KILL (1u << 0)          /* SIGKILL, out of memory, power */
#define SONICORN_SHUTDOWN_NOT_ON_CRASH (1u << 1)         /* the process crashed */
#define SONICORN_SHUTDOWN_NOT_ON_SECOND_SIGNAL (1u << 2) /* a second stop signal ends at once */
#define SONICORN_SHUTDOWN_NOT_ON_STUCK_REQUEST \
  (1u << 3) /* a handler of the app outlived the grace */
#define SONICORN_SHUTDOWN_NOT_ON_STUCK_THREAD \
  (1u << 4) /* a background thread of the app did not end when it was asked to */

/* Since 1.0. */
typedef struct sonicorn_shutdown_promise {
  uint32_t size;     /* bytes of this struct */
  uint32_t grace_ms; /* from the decision to stop until requests in flight are given up */
  uint64_t signals;  /* bit N set: signal N leads to shutdown */
  uint64_t reasons;  /* bit N set: SONICORN_REASON N leads to shutdown */
  uint32_t not_on;   /* SONICORN_SHUTDOWN_NOT_ON_... */
  uint32_t least_ms; /* shutdown gets at least this long, also when requests used up the grace */
} sonicorn_shutdown_promise;

SONICORN_STATIC_ASSERT(offsetof(sonicorn_shutdown_promise, least_ms) == 28, "ABI 1 layout");
SONICORN_STATIC_ASSERT(sizeof(sonicorn_shutdown_promise) == 32, "ABI 1.0 layout");

SONICORN_END_C

#endif
