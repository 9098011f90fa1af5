/* SPDX-License-Identifier: Apache-2.0 */
/* A blocking handler that takes 20 ms, so that the number of threads says what a server can do. */
#include <sonicorn/sonicorn.h>
#include <time.h>

SONICORN_MANIFEST({"name" : "slow"});

int32_t sonicorn_on_request(const sonicorn_context* context, void* state,
                            const sonicorn_request* request, sonicorn_response* response) {
  (void)context;
  (void)state;
  (void)request;
  const struct timespec service = {0, 20 * 1000 * 1000};
  nanosleep(&service, NULL);
  response->body = SONICORN_STRING("served\n");
  return SONICORN_OK;
}
