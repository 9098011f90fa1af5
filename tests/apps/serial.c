/* Wants one call at a time and says whether it got that. */
#include <stdatomic.h>
#include <time.h>

#include "fixture.h"

SONICORN_MANIFEST({"name" : "serial", "threads" : "serial"});

static atomic_int inside;

int32_t sonicorn_on_request(const sonicorn_context* context, void* state,
                            const sonicorn_request* request, sonicorn_response* response) {
  (void)context;
  (void)state;
  (void)request;
  const int before = atomic_fetch_add(&inside, 1);
  /* Long enough for another call to come in beside this one, if the server lets it. */
  const struct timespec while_inside = {0, 5000000};
  clock_nanosleep(CLOCK_MONOTONIC, 0, &while_inside, NULL);
  const int after = atomic_fetch_sub(&inside, 1);
  response->body =
      before == 0 && after == 1 ? SONICORN_STRING("alone\n") : SONICORN_STRING("overlap\n");
  return SONICORN_OK;
}
