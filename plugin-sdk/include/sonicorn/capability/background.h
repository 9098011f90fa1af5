/* SPDX-License-Identifier: Apache-2.0 */
/*
 * background/1, a service: a named thread that the server starts, stops and joins.
 */
#ifndef SONICORN_CAPABILITY_BACKGROUND_H
#define SONICORN_CAPABILITY_BACKGROUND_H

#include <sonicorn/abi.h>

#define SONICORN_CAPABILITY_BACKGROUND "background/1"

SONICORN_BEGIN_C

struct sonicorn_server;

/* What a background thread asks and waits on; the server's, valid while the thread runs. */
struct sonicorn_stop_token;

/* Since 1.0. */
typedef struct sonicorn_background {
  uint32_t size;     /* bytes of this struct */
  uint32_t reserved; /* 0 */

  /* Starts a thread. `name` ends in a zero byte and is copied. `body` runs until it returns; it
     must do so soon after a stop is requested, which is before shutdown is called. A thread that
     does not end by the deadline of the stop is named in the log, and shutdown is not called, for
     its state is still in use. OK, or an error when there can be no thread. [lifecycle-thread]
     Since 1.0. */
  int32_t (*start)(const struct sonicorn_server* server, const char* name,
                   void (*body)(struct sonicorn_stop_token* stop, void* argument), void* argument);

  /* 1 when the thread should end, else 0. [any-thread] Since 1.0. */
  int32_t (*stop_requested)(const struct sonicorn_stop_token* stop);

  /* Sleeps until a stop is requested, at most `timeout_ms`. 1 when a stop was requested, else 0.
     The background thread itself only. Since 1.0. */
  int32_t (*wait)(struct sonicorn_stop_token* stop, uint64_t timeout_ms);
} sonicorn_background;

SONICORN_STATIC_ASSERT(offsetof(sonicorn_background, wait) == 24, "ABI 1 layout");
SONICORN_STATIC_ASSERT(sizeof(sonicorn_background) == 32, "ABI 1.0 layout");

SONICORN_END_C

#endif
