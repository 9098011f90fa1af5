/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bus/1, a service: JSON messages between the apps of one worker, delivered through on_event with
 * the scope SONICORN_SCOPE_BUS and the topic as context->event.
 */
#ifndef SONICORN_CAPABILITY_BUS_H
#define SONICORN_CAPABILITY_BUS_H

#include <sonicorn/abi.h>

#define SONICORN_CAPABILITY_BUS "bus/1"

SONICORN_BEGIN_C

struct sonicorn_server;

/* Since 1.0. */
typedef struct sonicorn_bus {
  uint32_t size;     /* bytes of this struct */
  uint32_t reserved; /* 0 */

  /* From now on messages on `topic` (1 to 200 bytes, ends in a zero byte) reach this app. An error:
     the topic is malformed, or the app declares no on_event. [any-thread] Since 1.0. */
  int32_t (*subscribe)(const struct sonicorn_server* server, const char* topic);

  /* They no longer do. [any-thread] Since 1.0. */
  int32_t (*unsubscribe)(const struct sonicorn_server* server, const char* topic);

  /* Queues a JSON text, which is copied, for every subscriber. OK; declined: the queue of a
     subscriber is full and it did not get it; an error: malformed. [any-thread] Since 1.0. */
  int32_t (*publish)(const struct sonicorn_server* server, const char* topic, const char* json,
                     uint64_t json_size);
} sonicorn_bus;

SONICORN_STATIC_ASSERT(offsetof(sonicorn_bus, publish) == 24, "ABI 1 layout");
SONICORN_STATIC_ASSERT(sizeof(sonicorn_bus) == 32, "ABI 1.0 layout");

SONICORN_END_C

#endif
