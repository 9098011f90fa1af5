/* An app in C for tests that link it: it counts its requests from what start made. */
#include <sonicorn/sonicorn.h>
#include <stdio.h>
#include <stdlib.h>

SONICORN_MANIFEST({"name" : "linked", "blocking" : false, "requires" : ["log/1"]});

int32_t sonicorn_start(const sonicorn_context* context, void** state) {
  *state = calloc(1, sizeof(int));
  return *state == NULL ? sonicorn_fail(context, "no memory") : SONICORN_OK;
}

int32_t sonicorn_on_request(const sonicorn_context* context, void* state,
                            const sonicorn_request* request, sonicorn_response* response) {
  (void)request;
  char* text = response->allocate(response, 16);
  if (text == NULL) return sonicorn_fail(context, "no memory");
  response->body.data = text;
  response->body.size = (uint64_t)snprintf(text, 16, "%d", ++*(int*)state);
  return SONICORN_OK;
}

int32_t sonicorn_shutdown(const sonicorn_context* context, void* state) {
  (void)context;
  free(state);
  return SONICORN_OK;
}
