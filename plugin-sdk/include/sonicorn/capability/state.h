/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state/1, a promise: what save_state wrote is handed to load_state of the next generation.
 */
#ifndef SONICORN_CAPABILITY_STATE_H
#define SONICORN_CAPABILITY_STATE_H

#include <sonicorn/abi.h>

#define SONICORN_CAPABILITY_STATE "state/1"

SONICORN_BEGIN_C

/* Since 1.0. */
typedef struct sonicorn_state_promise {
  uint32_t size;     /* bytes of this struct */
  uint32_t reserved; /* 0 */
  uint64_t max_size; /* bytes that one state may have */
} sonicorn_state_promise;

SONICORN_STATIC_ASSERT(offsetof(sonicorn_state_promise, max_size) == 8, "ABI 1 layout");
SONICORN_STATIC_ASSERT(sizeof(sonicorn_state_promise) == 16, "ABI 1.0 layout");

SONICORN_END_C

#endif
