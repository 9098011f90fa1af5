/* Calls a function that nobody defines; lazy binding would find out at the first request. */
#include <sonicorn/sonicorn.h>

SONICORN_ABI_MARK;

int32_t function_that_nobody_defines(void);

int32_t sonicorn_on_request(const sonicorn_context* context, void* state,
                            const sonicorn_request* request, sonicorn_response* response) {
  (void)context;
  (void)state;
  (void)request;
  (void)response;
  return function_that_nobody_defines();
}
