/* SPDX-License-Identifier: Apache-2.0 */
/*
 * request_events/1, a promise: pre_request, post_request and on_disconnect are called.
 */
#ifndef SONICORN_CAPABILITY_REQUEST_EVENTS_H
#define SONICORN_CAPABILITY_REQUEST_EVENTS_H

#include <sonicorn/abi.h>

#define SONICORN_CAPABILITY_REQUEST_EVENTS "request_events/1"

SONICORN_BEGIN_C

#define SONICORN_REQUEST_EVENT_PRE (1u << 0)
#define SONICORN_REQUEST_EVENT_POST (1u << 1)
#define SONICORN_REQUEST_EVENT_DISCONNECT (1u << 2)

/* Since 1.0. */
typedef struct sonicorn_request_events_promise {
  uint32_t size;   /* bytes of this struct */
  uint32_t events; /* SONICORN_REQUEST_EVENT_... that are delivered */
} sonicorn_request_events_promise;

SONICORN_STATIC_ASSERT(offsetof(sonicorn_request_events_promise, events) == 4, "ABI 1 layout");
SONICORN_STATIC_ASSERT(sizeof(sonicorn_request_events_promise) == 8, "ABI 1.0 layout");

SONICORN_END_C

#endif
