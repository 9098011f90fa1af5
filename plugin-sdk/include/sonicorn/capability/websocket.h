/* SPDX-License-Identifier: Apache-2.0 */
/*
 * websocket/1, a promise and a service: the on_websocket_* attributes are called, and the app can
 * send.
 */
#ifndef SONICORN_CAPABILITY_WEBSOCKET_H
#define SONICORN_CAPABILITY_WEBSOCKET_H

#include <sonicorn/abi.h>

#define SONICORN_CAPABILITY_WEBSOCKET "websocket/1"

SONICORN_BEGIN_C

struct sonicorn_websocket;

/* Since 1.0. */
typedef struct sonicorn_websocket_service {
  uint32_t size;             /* bytes of this struct */
  uint32_t reserved;         /* 0 */
  uint64_t max_message_size; /* bytes */

  /* Queues one message, which is copied. `kind` is SONICORN_WEBSOCKET_TEXT or _BINARY. OK;
     declined: the queue is full; an error: the connection is closed. [any-thread] Since 1.0. */
  int32_t (*send)(struct sonicorn_websocket* websocket, uint32_t kind, const void* payload,
                  uint64_t payload_size);

  /* Starts the closing handshake with `code` (RFC 6455 7.4). [any-thread] Since 1.0. */
  void (*close)(struct sonicorn_websocket* websocket, uint32_t code, const char* message,
                uint64_t message_size);

  /* A pin keeps the pointer valid after on_websocket_close, so that other threads may hold it; each
     needs one unpin. [any-thread] Since 1.0. */
  void (*pin)(struct sonicorn_websocket* websocket);
  void (*unpin)(struct sonicorn_websocket* websocket);
} sonicorn_websocket_service;

SONICORN_STATIC_ASSERT(offsetof(sonicorn_websocket_service, unpin) == 40, "ABI 1 layout");
SONICORN_STATIC_ASSERT(sizeof(sonicorn_websocket_service) == 48, "ABI 1.0 layout");

SONICORN_END_C

#endif
