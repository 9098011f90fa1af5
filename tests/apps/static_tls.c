/* Thread-locals in the static TLS block, of which a process has little to spare. */
#include <sonicorn/sonicorn.h>

SONICORN_ABI_MARK;

static __thread char block[200] __attribute__((tls_model("initial-exec")));

int32_t sonicorn_on_request(const sonicorn_context* context, void* state,
                            const sonicorn_request* request, sonicorn_response* response) {
  (void)context;
  (void)state;
  block[request->target.size % sizeof block] = 'x';
  response->body = block[request->target.size % sizeof block] == 'x' ? SONICORN_STRING("tls\n")
                                                                     : SONICORN_STRING("?\n");
  return SONICORN_OK;
}
