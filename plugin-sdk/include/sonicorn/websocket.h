/* SPDX-License-Identifier: Apache-2.0 */
/*
 * WebSocket connections on an app's mount. What an app does to a connection (send, close) is the
 * capability websocket/1; here is only what the attributes receive.
 */
#ifndef SONICORN_WEBSOCKET_H
#define SONICORN_WEBSOCKET_H

#include <sonicorn/abi.h>

#define SONICORN_WEBSOCKET_TEXT 1u
#define SONICORN_WEBSOCKET_BINARY 2u

SONICORN_BEGIN_C

/* One open connection; the server's, valid from on_websocket_open until on_websocket_close returns.
 */
struct sonicorn_websocket;

/* One whole message. Valid until the call returns. Since 1.0. */
typedef struct sonicorn_websocket_message {
  uint32_t size;           /* bytes of this struct */
  uint32_t kind;           /* SONICORN_WEBSOCKET_... */
  sonicorn_string payload; /* text is valid UTF-8 */
} sonicorn_websocket_message;

/* How a connection ended. Valid until the call returns. Since 1.0. */
typedef struct sonicorn_websocket_end {
  uint32_t size;           /* bytes of this struct */
  uint32_t code;           /* RFC 6455 7.4; 1006 when the peer vanished */
  sonicorn_string message; /* the peer's reason; may be empty */
} sonicorn_websocket_end;

SONICORN_STATIC_ASSERT(sizeof(sonicorn_websocket_message) == 24, "ABI 1.0 layout");
SONICORN_STATIC_ASSERT(sizeof(sonicorn_websocket_end) == 24, "ABI 1.0 layout");

SONICORN_END_C

#endif
