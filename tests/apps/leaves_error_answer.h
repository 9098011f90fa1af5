/* The handler of leaves_error and leaves_error_pool. It sets the text of an error and succeeds;
   with the query "fail" it fails and sets none. */
#ifndef SONICORN_TESTS_LEAVES_ERROR_ANSWER_H
#define SONICORN_TESTS_LEAVES_ERROR_ANSWER_H

#include "fixture.h"

int32_t sonicorn_on_request(const sonicorn_context* context, void* state,
                            const sonicorn_request* request, sonicorn_response* response) {
  (void)state;
  if (fixture_equals(request->query, "fail")) return SONICORN_ERROR;
  (void)sonicorn_fail(context, "a secret of the first app");
  response->body = SONICORN_STRING("fine\n");
  return SONICORN_OK;
}

#endif
