/* Has SIGTERM and SIGINT ignored as soon as it is loaded; with the query "again" once more. No call
   of it but on_request tells the server so. */
#include <signal.h>

#include "fixture.h"

SONICORN_MANIFEST({"name" : "contract-ignores-signals"});

__attribute__((constructor)) static void ignore(void) {
  signal(SIGTERM, SIG_IGN);
  signal(SIGINT, SIG_IGN);
}

int32_t sonicorn_on_request(const sonicorn_context* context, void* state,
                            const sonicorn_request* request, sonicorn_response* response) {
  (void)context, (void)state;
  if (fixture_equals(request->query, "again")) ignore();
  response->body = SONICORN_STRING("deaf\n");
  return SONICORN_OK;
}
