/* Exports on_request only, but depends on a library that defines start and shutdown (both abort).
 */
#include <sonicorn/sonicorn.h>

SONICORN_ABI_MARK;

int32_t borrowed_number(void);

int32_t sonicorn_on_request(const sonicorn_context* context, void* state,
                            const sonicorn_request* request, sonicorn_response* response) {
  (void)context;
  (void)state;
  (void)request;
  response->body = borrowed_number() == 7 ? SONICORN_STRING("borrows\n") : SONICORN_STRING("?\n");
  return SONICORN_OK;
}
