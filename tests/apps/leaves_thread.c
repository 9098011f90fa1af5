/* Its start makes a thread that nobody ends. */
#include <pthread.h>

#include "fixture.h"

SONICORN_MANIFEST({"name" : "leaves_thread", "blocking" : false});

static void* stay(void* argument) {
  (void)argument;
  pthread_setname_np(pthread_self(), "left-behind");
  for (;;) pause();
  return NULL;
}

int32_t sonicorn_start(const sonicorn_context* context, void** state) {
  (void)state;
  pthread_t thread;
  if (pthread_create(&thread, NULL, stay, NULL) != 0) return sonicorn_fail(context, "no thread");
  pthread_detach(thread);
  return SONICORN_OK;
}
