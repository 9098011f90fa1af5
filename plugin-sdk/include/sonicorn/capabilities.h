/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a server may deliver. Ask with server->get_capability(server, "NAME/REV"); the answer is the
 * table declared in capability/NAME.h, or NULL. Every table begins with its size.
 *
 * A promise is a table of facts about what the server will do; a service is a table of functions.
 * `requires` in the manifest: refused before any code of the app runs where the server lacks it.
 * `uses`: may be NULL, and the app goes on without.
 */
#ifndef SONICORN_CAPABILITIES_H
#define SONICORN_CAPABILITIES_H

#include <sonicorn/capability/background.h>
#include <sonicorn/capability/bus.h>
#include <sonicorn/capability/control.h>
#include <sonicorn/capability/deferred.h>
#include <sonicorn/capability/drain.h>
#include <sonicorn/capability/events.h>
#include <sonicorn/capability/log.h>
#include <sonicorn/capability/metrics.h>
#include <sonicorn/capability/reload.h>
#include <sonicorn/capability/request_events.h>
#include <sonicorn/capability/shutdown.h>
#include <sonicorn/capability/state.h>
#include <sonicorn/capability/streaming.h>
#include <sonicorn/capability/thread_check.h>
#include <sonicorn/capability/timer.h>
#include <sonicorn/capability/websocket.h>

/* Every capability of ABI 1: X(name, id). */
#define SONICORN_CAPABILITIES(X)                        \
  X(shutdown, SONICORN_CAPABILITY_SHUTDOWN)             \
  X(drain, SONICORN_CAPABILITY_DRAIN)                   \
  X(reload, SONICORN_CAPABILITY_RELOAD)                 \
  X(state, SONICORN_CAPABILITY_STATE)                   \
  X(request_events, SONICORN_CAPABILITY_REQUEST_EVENTS) \
  X(events, SONICORN_CAPABILITY_EVENTS)                 \
  X(streaming, SONICORN_CAPABILITY_STREAMING)           \
  X(deferred, SONICORN_CAPABILITY_DEFERRED)             \
  X(websocket, SONICORN_CAPABILITY_WEBSOCKET)           \
  X(log, SONICORN_CAPABILITY_LOG)                       \
  X(metrics, SONICORN_CAPABILITY_METRICS)               \
  X(timer, SONICORN_CAPABILITY_TIMER)                   \
  X(background, SONICORN_CAPABILITY_BACKGROUND)         \
  X(bus, SONICORN_CAPABILITY_BUS)                       \
  X(control, SONICORN_CAPABILITY_CONTROL)               \
  X(thread_check, SONICORN_CAPABILITY_THREAD_CHECK)

#endif
