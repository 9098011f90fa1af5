/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The answer to one request. The server hands over a struct preset to 200 and nothing else; the app
 * fills in what it wants.
 *
 * The server writes Date, Content-Length, Connection and Transfer-Encoding itself. A field that
 * would break the message (a line break in a value, a name that is no token, a framing field) makes
 * the answer a 500 and a log line that names the app.
 */
#ifndef SONICORN_RESPONSE_H
#define SONICORN_RESPONSE_H

#include <sonicorn/abi.h>
#include <sonicorn/request.h>

SONICORN_BEGIN_C

/* Since 1.0. */
typedef struct sonicorn_response {
  uint32_t size;                /* bytes of this struct */
  uint32_t status;              /* 200 .. 599; preset 200 */
  sonicorn_string content_type; /* empty: no Content-Type */
  const sonicorn_field* fields; /* more header fields, in this order */
  uint64_t field_count;
  sonicorn_string body;

  /*
   * Called once when the server no longer needs what content_type, fields and body point to; may be
   * NULL. Without it they must stay valid until `shutdown` returns (literals, statics), or be part
   * of the request, or come from `allocate`. Called on the thread that finished sending: it must
   * neither block nor throw. [any-thread] Since 1.0.
   */
  void (*release)(void* release_argument);
  void* release_argument;

  /*
   * Memory for this answer (its body, its fields), freed by the server once it is sent.
   * `bytes` > 0; the result is aligned to 16 bytes, or NULL when there is no memory.
   * Only during the call that this response was given to. [request-thread] Since 1.0.
   */
  void* (*allocate)(struct sonicorn_response* response, uint64_t bytes);
} sonicorn_response;

SONICORN_STATIC_ASSERT(offsetof(sonicorn_response, body) == 40, "ABI 1 layout");
SONICORN_STATIC_ASSERT(sizeof(sonicorn_response) == 80, "ABI 1.0 layout");

SONICORN_END_C

#endif
