/* Linked with -z nodelete: it stays in memory whatever dlclose says. */
#include <sonicorn/sonicorn.h>

SONICORN_ABI_MARK;

int32_t sonicorn_on_request(const sonicorn_context* context, void* state,
                            const sonicorn_request* request, sonicorn_response* response) {
  (void)context;
  (void)state;
  (void)request;
  response->body = SONICORN_STRING("nodelete\n");
  return SONICORN_OK;
}
