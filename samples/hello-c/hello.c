/* The least app in C: one function, and one line that says what it is. */
#include <sonicorn/sonicorn.h>

SONICORN_MANIFEST({"blocking": false});

int32_t sonicorn_on_request(const sonicorn_context* context, void* state,
                            const sonicorn_request* request, sonicorn_response* response) {
  (void)context, (void)state, (void)request;
  response->content_type = SONICORN_STRING("text/plain");
  response->body = SONICORN_STRING("Hello from C\n");
  return SONICORN_OK;
}
