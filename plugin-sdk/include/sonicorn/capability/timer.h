/* SPDX-License-Identifier: Apache-2.0 */
/*
 * timer/1, a service: a call later, or again and again, on the lifecycle thread.
 */
#ifndef SONICORN_CAPABILITY_TIMER_H
#define SONICORN_CAPABILITY_TIMER_H

#include <sonicorn/abi.h>

#define SONICORN_CAPABILITY_TIMER "timer/1"

SONICORN_BEGIN_C

struct sonicorn_server;

/* Since 1.0. */
typedef struct sonicorn_timer {
  uint32_t size;     /* bytes of this struct */
  uint32_t reserved; /* 0 */

  /* Has `callback` called after `delay_ms`, then every `period_ms` (0: once), until cancelled or
     until shutdown begins. The result names the timer and is never 0; 0 means it was refused.
     At most 10,000 wait at a time. [any-thread] Since 1.0. */
  uint64_t (*start)(const struct sonicorn_server* server, uint64_t delay_ms, uint64_t period_ms,
                    void (*callback)(void* argument), void* argument);

  /* After it returned, on the lifecycle thread, the callback is never called again; elsewhere one
     call may be under way. An unknown timer is ignored. [any-thread] Since 1.0. */
  void (*cancel)(const struct sonicorn_server* server, uint64_t timer);
} sonicorn_timer;

SONICORN_STATIC_ASSERT(offsetof(sonicorn_timer, cancel) == 16, "ABI 1 layout");
SONICORN_STATIC_ASSERT(sizeof(sonicorn_timer) == 24, "ABI 1.0 layout");

SONICORN_END_C

#endif
