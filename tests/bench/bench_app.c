/* SPDX-License-Identifier: Apache-2.0 */
/* The app behind the measurements that hello cannot answer: a GET gets 10 KB, a POST its own body.
 */
#include <sonicorn/sonicorn.h>

SONICORN_MANIFEST({"name" : "bench", "blocking" : false});

int32_t sonicorn_on_request(const sonicorn_context* context, void* state,
                            const sonicorn_request* request, sonicorn_response* response) {
  static const char kTenKilobytes[10000];
  (void)context;
  (void)state;
  if (request->body.size > 0) {
    response->body = request->body;
  } else {
    response->body.data = kTenKilobytes;
    response->body.size = sizeof kTenKilobytes;
  }
  response->content_type = SONICORN_STRING("text/plain");
  return SONICORN_OK;
}
