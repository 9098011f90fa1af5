/* SPDX-License-Identifier: Apache-2.0 */
/*
 * streaming/1, a service: a response body written in pieces, after on_request returned.
 */
#ifndef SONICORN_CAPABILITY_STREAMING_H
#define SONICORN_CAPABILITY_STREAMING_H

#include <sonicorn/abi.h>

#define SONICORN_CAPABILITY_STREAMING "streaming/1"

SONICORN_BEGIN_C

struct sonicorn_response;

/* One response under way. The pointer is valid until finish or abort is called on it. */
struct sonicorn_stream;

/* Since 1.0. */
typedef struct sonicorn_streaming {
  uint32_t size;     /* bytes of this struct */
  uint32_t reserved; /* 0 */

  /* Makes `response` a stream: its status and fields are sent when on_request returns, its body is
     what is written here. NULL when it cannot be. Only inside on_request. [request-thread]
     Since 1.0. */
  struct sonicorn_stream* (*begin)(struct sonicorn_response* response);

  /* Queues `bytes`, which are copied. OK; declined: the queue is full, try again after on_writable;
     an error: the client is gone. [any-thread] Since 1.0. */
  int32_t (*write)(struct sonicorn_stream* stream, const void* bytes, uint64_t bytes_size);

  /* Has `callback` called once when the queue has room again or the client is gone.
     [any-thread] Since 1.0. */
  void (*on_writable)(struct sonicorn_stream* stream, void (*callback)(void* argument),
                      void* argument);

  /* The body is complete. The stream is dead after it. [any-thread] Since 1.0. */
  void (*finish)(struct sonicorn_stream* stream);

  /* The body cannot be completed: the connection is cut. The stream is dead after it.
     [any-thread] Since 1.0. */
  void (*abort)(struct sonicorn_stream* stream);
} sonicorn_streaming;

SONICORN_STATIC_ASSERT(offsetof(sonicorn_streaming, abort) == 40, "ABI 1 layout");
SONICORN_STATIC_ASSERT(sizeof(sonicorn_streaming) == 48, "ABI 1.0 layout");

SONICORN_END_C

#endif
