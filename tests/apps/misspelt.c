/* Exports a name that is nearly an attribute's. */
#include <sonicorn/sonicorn.h>
#include <stdlib.h>

SONICORN_ABI_MARK;

SONICORN_EXPORT int32_t sonicorn_shutdwon(const sonicorn_context* context, void* state);

int32_t sonicorn_shutdwon(const sonicorn_context* context, void* state) {
  (void)context;
  (void)state;
  abort();
}

int32_t sonicorn_on_request(const sonicorn_context* context, void* state,
                            const sonicorn_request* request, sonicorn_response* response) {
  (void)context;
  (void)state;
  (void)request;
  response->body = SONICORN_STRING("misspelt\n");
  return SONICORN_OK;
}
