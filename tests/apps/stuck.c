/* A handler that never returns. The setting "entered" names a FIFO that gets a byte when it begins.
 */
#include "fixture.h"

SONICORN_MANIFEST({"name" : "stuck"});

int32_t sonicorn_on_request(const sonicorn_context* context, void* state,
                            const sonicorn_request* request, sonicorn_response* response) {
  (void)state;
  (void)request;
  (void)response;
  char path[FIXTURE_PATH_SIZE];
  fixture_setting(context->server, "entered", path);
  fixture_signal(path);
  for (;;) pause();
}

int32_t sonicorn_shutdown(const sonicorn_context* context, void* state) {
  (void)context;
  (void)state;
  return SONICORN_OK;
}
