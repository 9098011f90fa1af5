/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reload/1, a promise: this server reloads apps while it runs, and calls the attribute reload in
 * the phases that `phases` names.
 */
#ifndef SONICORN_CAPABILITY_RELOAD_H
#define SONICORN_CAPABILITY_RELOAD_H

#include <sonicorn/abi.h>

#define SONICORN_CAPABILITY_RELOAD "reload/1"

SONICORN_BEGIN_C

/* Since 1.0. */
typedef struct sonicorn_reload_promise {
  uint32_t size;         /* bytes of this struct */
  uint32_t phases;       /* bit N set: SONICORN_RELOAD phase N is announced */
  uint32_t automatic;    /* 1: a changed file reloads by itself */
  uint32_t probation_ms; /* how long the previous build is kept after a switch; 0: not */
} sonicorn_reload_promise;

SONICORN_STATIC_ASSERT(offsetof(sonicorn_reload_promise, probation_ms) == 12, "ABI 1 layout");
SONICORN_STATIC_ASSERT(sizeof(sonicorn_reload_promise) == 16, "ABI 1.0 layout");

SONICORN_END_C

#endif
