/* Cannot do without timer/1, and says so. */
#include "fixture.h"

SONICORN_MANIFEST({"name" : "contract-requires", "requires" : ["timer/1"], "uses" : ["bus/1"]});

int32_t sonicorn_on_request(const sonicorn_context* context, void* state,
                            const sonicorn_request* request, sonicorn_response* response) {
  (void)context, (void)state, (void)request;
  response->body = SONICORN_STRING("with a timer\n");
  return SONICORN_OK;
}
