/* Serial on the I/O threads: one call at a time although several threads serve. */
#include <sched.h>
#include <stdatomic.h>

#include "fixture.h"

SONICORN_MANIFEST({"name" : "serial-inline", "threads" : "serial", "blocking" : false});

static atomic_int inside;

int32_t sonicorn_on_request(const sonicorn_context* context, void* state,
                            const sonicorn_request* request, sonicorn_response* response) {
  (void)context;
  (void)state;
  (void)request;
  const int before = atomic_fetch_add(&inside, 1);
  for (int i = 0; i < 50; ++i) sched_yield();
  const int after = atomic_fetch_sub(&inside, 1);
  response->body =
      before == 0 && after == 1 ? SONICORN_STRING("alone\n") : SONICORN_STRING("overlap\n");
  return SONICORN_OK;
}
