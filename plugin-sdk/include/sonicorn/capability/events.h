/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events/1, a promise: on_event is called with the events of these scopes.
 *
 * scope    context->event   context->message (JSON)            when
 * server   "ready"          {"listening": [URL, ...]}          requests may arrive; after ready
 * server   "reloaded"       ""                                 the configuration was read again
 * server   "stopping"       what control/1 was told, or ""     a stop is decided; before drain
 * bus      the topic        the message                        another app, or this, published it
 */
#ifndef SONICORN_CAPABILITY_EVENTS_H
#define SONICORN_CAPABILITY_EVENTS_H

#include <sonicorn/abi.h>

#define SONICORN_CAPABILITY_EVENTS "events/1"

SONICORN_BEGIN_C

/* Since 1.0. */
typedef struct sonicorn_events_promise {
  uint32_t size;   /* bytes of this struct */
  uint32_t scopes; /* bit N set: events of SONICORN_SCOPE N are delivered */
} sonicorn_events_promise;

SONICORN_STATIC_ASSERT(offsetof(sonicorn_events_promise, scopes) == 4, "ABI 1 layout");
SONICORN_STATIC_ASSERT(sizeof(sonicorn_events_promise) == 8, "ABI 1.0 layout");

SONICORN_END_C

#endif
