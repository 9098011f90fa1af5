/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control/1, a service: an app asks the server to reload it, to drain it, or to stop.
 */
#ifndef SONICORN_CAPABILITY_CONTROL_H
#define SONICORN_CAPABILITY_CONTROL_H

#include <sonicorn/abi.h>

#define SONICORN_CAPABILITY_CONTROL "control/1"

SONICORN_BEGIN_C

#define SONICORN_CONTROL_RELOAD 1u /* this app: its settings and its file, if they have changed */
#define SONICORN_CONTROL_DRAIN 2u  /* this app: drain it; its mount answers 503 from then on */
#define SONICORN_CONTROL_STOP 3u   /* the server: stop it as SIGTERM would, reason admin_stop */

struct sonicorn_server;

/* Since 1.0. */
typedef struct sonicorn_control {
  uint32_t size;    /* bytes of this struct */
  uint32_t allowed; /* bit N set: SONICORN_CONTROL action N may be asked for */

  /* Asks, and returns at once. `message` is optional, is copied and reaches the apps in their
     context. OK: noted; declined: not allowed here. [any-thread] Since 1.0. */
  int32_t (*ask)(const struct sonicorn_server* server, uint32_t action, const char* message,
                 uint64_t message_size);
} sonicorn_control;

SONICORN_STATIC_ASSERT(offsetof(sonicorn_control, ask) == 8, "ABI 1 layout");
SONICORN_STATIC_ASSERT(sizeof(sonicorn_control) == 16, "ABI 1.0 layout");

SONICORN_END_C

#endif
