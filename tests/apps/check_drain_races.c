/* A drain that takes away what requests in flight still use. */
#include <sonicorn/sonicorn.h>
#include <stdlib.h>

SONICORN_MANIFEST({"name" : "drain-races", "blocking" : true});

static int here = 1;
static int* volatile counter = &here;

__attribute__((noinline)) static void count(void) { ++*counter; }

int32_t sonicorn_on_request(const sonicorn_context* context, void* state,
                            const sonicorn_request* request, sonicorn_response* response) {
  (void)context;
  (void)state;
  (void)request;
  count();
  response->body = SONICORN_STRING("here\n");
  return SONICORN_OK;
}

int32_t sonicorn_drain(const sonicorn_context* context, void* state) {
  (void)context;
  (void)state;
  counter = NULL;
  return SONICORN_OK;
}
