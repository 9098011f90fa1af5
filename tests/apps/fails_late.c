/* Starts unless the file that the setting "broken" names is there; then it fails, and a static
   destructor of it does not return. */
#include "fixture.h"

SONICORN_MANIFEST({"name" : "fails-late"});

static int failed = 0;

int32_t sonicorn_start(const sonicorn_context* context, void** state) {
  (void)state;
  char broken[FIXTURE_PATH_SIZE];
  fixture_setting(context->server, "broken", broken);
  failed = access(broken, F_OK) == 0;
  return failed ? sonicorn_fail(context, "the database is away") : SONICORN_OK;
}

int32_t sonicorn_on_request(const sonicorn_context* context, void* state,
                            const sonicorn_request* request, sonicorn_response* response) {
  (void)context;
  (void)state;
  (void)request;
  response->body = SONICORN_STRING("well");
  return SONICORN_OK;
}

__attribute__((destructor)) static void hang(void) {
  while (failed) pause();
}
