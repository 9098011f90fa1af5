/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two of it measure the bus: the one on /publisher answers a request by publishing a million
 * messages as fast as the other, on /subscriber, takes them, and tells the messages a second.
 */
#include <sched.h>
#include <sonicorn/capabilities.h>
#include <sonicorn/sonicorn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

SONICORN_MANIFEST({"name" : "bus", "requires" : ["bus/1"], "threads" : "serial"});

#define MESSAGES 1000000

static const sonicorn_bus* bus;
static int is_publisher;
static long received;
static atomic_int all_received;

int32_t sonicorn_start(const sonicorn_context* context, void** state) {
  const sonicorn_server* server = context->server;
  (void)state;
  bus = server->get_capability(server, SONICORN_CAPABILITY_BUS);
  is_publisher = server->mount.size == strlen("/publisher");
  return bus->subscribe(server, is_publisher ? "bench.all" : "bench.one");
}

int32_t sonicorn_on_event(const sonicorn_context* context, void* state) {
  (void)state;
  if (context->scope != SONICORN_SCOPE_BUS) return SONICORN_OK;
  if (is_publisher) {
    atomic_store(&all_received, 1);
  } else if (++received == MESSAGES) {
    received = 0;
    return bus->publish(context->server, "bench.all", "null", 4);
  }
  return SONICORN_OK;
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int32_t sonicorn_on_request(const sonicorn_context* context, void* state,
                            const sonicorn_request* request, sonicorn_response* response) {
  static const char kMessage[] = "{\"number\":12345,\"text\":\"abc\"}";
  static char text[32];
  const double begun = now();
  (void)state;
  (void)request;
  atomic_store(&all_received, 0);
  for (long sent = 0; sent < MESSAGES;) {
    const int32_t result =
        bus->publish(context->server, "bench.one", kMessage, sizeof kMessage - 1);
    if (result == SONICORN_OK) {
      ++sent;
    } else if (result == SONICORN_DECLINED) {
      sched_yield(); /* the queue is full: the publisher is told, and tries again */
    } else {
      return sonicorn_fail(context, "the bus refuses the message");
    }
  }
  while (!atomic_load(&all_received)) sched_yield();
  response->body.size = (uint64_t)snprintf(text, sizeof text, "%.0f\n", MESSAGES / (now() - begun));
  response->body.data = text;
  return SONICORN_OK;
}
