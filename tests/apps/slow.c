/*
 * A blocking handler that takes its time: the query's `ms`, or until the test opens the gate.
 * Settings, each the path of a FIFO: "entered" gets a byte when a handler begins; a handler takes a
 * byte from "gate" before it answers, except with the query "free".
 */
#include <errno.h>
#include <time.h>

#include "fixture.h"

SONICORN_MANIFEST({"name" : "slow"});

int32_t sonicorn_on_request(const sonicorn_context* context, void* state,
                            const sonicorn_request* request, sonicorn_response* response) {
  (void)state;
  char path[FIXTURE_PATH_SIZE];
  fixture_setting(context->server, "entered", path);
  fixture_signal(path);
  const uint64_t ms = fixture_query_number(request, "ms", 0);
  struct timespec rest = {(time_t)(ms / 1000), (long)(ms % 1000) * 1000000};
  while (clock_nanosleep(CLOCK_MONOTONIC, 0, &rest, &rest) == EINTR) continue;
  fixture_setting(context->server, "gate", path);
  if (path[0] != 0 && !fixture_equals(request->query, "free")) fixture_wait(path);
  response->body = SONICORN_STRING("slow\n");
  return SONICORN_OK;
}
