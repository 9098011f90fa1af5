/* Ends its handler with an error, or with the query "declined" declines it. */
#include "fixture.h"

SONICORN_MANIFEST({"name" : "error-result", "blocking" : false});

int32_t sonicorn_on_request(const sonicorn_context* context, void* state,
                            const sonicorn_request* request, sonicorn_response* response) {
  (void)state;
  (void)response;
  if (fixture_equals(request->query, "declined")) return SONICORN_DECLINED;
  return sonicorn_fail(context, "the disk of the app is full");
}
