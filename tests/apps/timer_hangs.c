/* The callback of a timer that its start has set never returns; health waits behind it. */
#include <sonicorn/capabilities.h>

#include "fixture.h"

SONICORN_MANIFEST({"name" : "timer-hangs", "uses" : ["timer/1"]});

static void hang(void* argument) {
  (void)argument;
  for (;;) pause();
}

int32_t sonicorn_start(const sonicorn_context* context, void** state) {
  (void)state;
  const sonicorn_timer* const timer = (const sonicorn_timer*)context->server->get_capability(
      context->server, SONICORN_CAPABILITY_TIMER);
  if (timer == NULL) return sonicorn_fail(context, "there are no timers");
  timer->start(context->server, 0, 0, hang, NULL);
  return SONICORN_OK;
}

int32_t sonicorn_health(const sonicorn_context* context, void* state) {
  (void)context;
  (void)state;
  return SONICORN_OK;
}

int32_t sonicorn_on_request(const sonicorn_context* context, void* state,
                            const sonicorn_request* request, sonicorn_response* response) {
  (void)context;
  (void)state;
  (void)request;
  response->body = SONICORN_STRING("well");
  return SONICORN_OK;
}
