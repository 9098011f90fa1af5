/* Every answer but the count has a release callback; the query "count" says how often it was
 * called. */
#include <stdatomic.h>
#include <stdio.h>

#include "fixture.h"

SONICORN_MANIFEST({"name" : "release", "blocking" : false});

static atomic_int released;

static void release(void* argument) {
  free(argument);
  atomic_fetch_add(&released, 1);
}

int32_t sonicorn_on_request(const sonicorn_context* context, void* state,
                            const sonicorn_request* request, sonicorn_response* response) {
  (void)state;
  if (fixture_equals(request->query, "count")) {
    char* text = response->allocate(response, 16);
    if (text == NULL) return sonicorn_fail(context, "no memory");
    response->body.data = text;
    response->body.size = (uint64_t)snprintf(text, 16, "%d", atomic_load(&released));
    return SONICORN_OK;
  }
  char* body = strdup("released later\n");
  response->body.data = body;
  response->body.size = strlen(body);
  response->release = release;
  response->release_argument = body;
  if (fixture_equals(request->query, "error")) return sonicorn_fail(context, "after the answer");
  return SONICORN_OK;
}
