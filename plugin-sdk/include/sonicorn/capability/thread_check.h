/* SPDX-License-Identifier: Apache-2.0 */
/*
 * thread_check/1, a service: which role the calling thread has.
 */
#ifndef SONICORN_CAPABILITY_THREAD_CHECK_H
#define SONICORN_CAPABILITY_THREAD_CHECK_H

#include <sonicorn/abi.h>

#define SONICORN_CAPABILITY_THREAD_CHECK "thread_check/1"

SONICORN_BEGIN_C

struct sonicorn_server;

/* Since 1.0. */
typedef struct sonicorn_thread_check {
  uint32_t size;     /* bytes of this struct */
  uint32_t reserved; /* 0 */

  /* SONICORN_THREAD_..., or 0 for a thread that the server does not know. [any-thread] Since 1.0.
   */
  uint32_t (*role)(const struct sonicorn_server* server);
} sonicorn_thread_check;

SONICORN_STATIC_ASSERT(offsetof(sonicorn_thread_check, role) == 8, "ABI 1 layout");
SONICORN_STATIC_ASSERT(sizeof(sonicorn_thread_check) == 16, "ABI 1.0 layout");

SONICORN_END_C

#endif
