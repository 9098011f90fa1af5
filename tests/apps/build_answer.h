/* A build of an app named "app": answers with BUILD_NAME and how many requests its own statics have
   seen, on the I/O thread. What else it does, the fixture that includes this says:
   BUILD_START, BUILD_HEALTH: what those attributes return; BUILD_NO_SHUTDOWN: it declares none. */
#include <stdio.h>

#include "fixture.h"

SONICORN_MANIFEST({"name" : "app", "blocking" : false});

static unsigned long requests;

#ifndef BUILD_START
#define BUILD_START SONICORN_OK
#endif
int32_t sonicorn_start(const sonicorn_context* context, void** state) {
  (void)state;
  (void)context;
  return BUILD_START;
}

#ifdef BUILD_HEALTH
int32_t sonicorn_health(const sonicorn_context* context, void* state) {
  (void)context;
  (void)state;
  return BUILD_HEALTH;
}
#endif

int32_t sonicorn_on_request(const sonicorn_context* context, void* state,
                            const sonicorn_request* request, sonicorn_response* response) {
  (void)state;
  if (fixture_equals(request->path, "/fail")) return sonicorn_fail(context, "asked to fail");
  if (fixture_equals(request->path, "/crash")) *(volatile int*)8 = 1;
  char* const text = (char*)response->allocate(response, 64);
  if (text == NULL) return SONICORN_ERROR;
  const unsigned long count = __atomic_add_fetch(&requests, 1, __ATOMIC_RELAXED);
  response->body.data = text;
  response->body.size = (uint64_t)snprintf(text, 64, "%s %lu", BUILD_NAME, count);
  return SONICORN_OK;
}

#ifndef BUILD_NO_SHUTDOWN
int32_t sonicorn_shutdown(const sonicorn_context* context, void* state) {
  (void)context;
  (void)state;
  return SONICORN_OK;
}
#endif
