/* SPDX-License-Identifier: Apache-2.0 */
/* A filter that does nothing, to see what being one costs. */
#include <sonicorn/sonicorn.h>

SONICORN_MANIFEST({"name" : "filter", "blocking" : false});

int32_t sonicorn_pre_request(const sonicorn_context* context, void* state,
                             const sonicorn_request* request, sonicorn_response* response,
                             void** exchange) {
  (void)context;
  (void)state;
  (void)request;
  (void)response;
  (void)exchange;
  return SONICORN_OK;
}

int32_t sonicorn_post_request(const sonicorn_context* context, void* state,
                              const sonicorn_request* request, const sonicorn_outcome* outcome,
                              void* exchange) {
  (void)context;
  (void)state;
  (void)request;
  (void)outcome;
  (void)exchange;
  return SONICORN_OK;
}
