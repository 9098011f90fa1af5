/* Answers with the text of a library that it looks for in its own folder. */
#include <sonicorn/sonicorn.h>
#include <string.h>

SONICORN_ABI_MARK;

const char* beside_text(void);

int32_t sonicorn_on_request(const sonicorn_context* context, void* state,
                            const sonicorn_request* request, sonicorn_response* response) {
  (void)context;
  (void)state;
  (void)request;
  response->body.data = beside_text();
  response->body.size = strlen(response->body.data);
  return SONICORN_OK;
}
