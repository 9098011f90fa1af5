/* A filter that answers in place of the handler, with a status that cannot be sent. */
#include "fixture.h"

SONICORN_MANIFEST({"name" : "bad-filter", "blocking" : false});

int32_t sonicorn_pre_request(const sonicorn_context* context, void* state,
                             const sonicorn_request* request, sonicorn_response* response,
                             void** exchange) {
  (void)context;
  (void)state;
  (void)request;
  (void)exchange;
  response->status = 1000;
  return SONICORN_DECLINED;
}
