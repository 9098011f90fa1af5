/* Without background/1 it makes a thread itself, and does not join that. */
#include <pthread.h>
#include <sonicorn/sonicorn.h>
#include <unistd.h>

SONICORN_MANIFEST({"name" : "leaks-without", "uses" : ["background/1"]});

static void* sleep_for_ever(void* nothing) {
  for (;;) pause();
  return nothing;
}

int32_t sonicorn_start(const sonicorn_context* context, void** state) {
  (void)state;
  pthread_t thread;
  if (context->server->get_capability(context->server, SONICORN_CAPABILITY_BACKGROUND) != NULL) {
    return SONICORN_OK;
  }
  return pthread_create(&thread, NULL, &sleep_for_ever, NULL) == 0 ? SONICORN_OK : SONICORN_ERROR;
}
