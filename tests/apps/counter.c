/* Counts its calls in a static. */
#include <stdatomic.h>
#include <stdio.h>

#include "fixture.h"

SONICORN_MANIFEST({"name" : "counter", "blocking" : false});

static atomic_int calls;

int32_t sonicorn_on_request(const sonicorn_context* context, void* state,
                            const sonicorn_request* request, sonicorn_response* response) {
  (void)state;
  (void)request;
  char* text = response->allocate(response, 16);
  if (text == NULL) return sonicorn_fail(context, "no memory");
  response->body.data = text;
  response->body.size = (uint64_t)snprintf(text, 16, "%d", atomic_fetch_add(&calls, 1) + 1);
  return SONICORN_OK;
}
