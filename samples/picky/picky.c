/* Requires a capability that no server has, so every server refuses it before any of it runs. */
#include <sonicorn/sonicorn.h>

#include "time_machine.h"

SONICORN_MANIFEST({
  "blocking" : false,
  "requires" : ["com.example.time-machine/1"]
});

int32_t sonicorn_on_request(const sonicorn_context* context, void* state,
                            const sonicorn_request* request, sonicorn_response* response) {
  (void)state, (void)request;
  /* What is required is there: no NULL to look for. */
  const time_machine* machine =
      context->server->get_capability(context->server, TIME_MACHINE_CAPABILITY);
  response->content_type = SONICORN_STRING("text/plain");
  response->body =
      machine->year() < 1900 ? SONICORN_STRING("Long ago\n") : SONICORN_STRING("Now\n");
  return SONICORN_OK;
}
