/* A thread that start makes and nobody joins. */
#include <pthread.h>
#include <sonicorn/sonicorn.h>
#include <unistd.h>

SONICORN_ABI_MARK;

static void* sleep_for_ever(void* nothing) {
  for (;;) pause();
  return nothing;
}

int32_t sonicorn_start(const sonicorn_context* context, void** state) {
  (void)context;
  (void)state;
  pthread_t thread;
  if (pthread_create(&thread, NULL, &sleep_for_ever, NULL) != 0) return SONICORN_ERROR;
  pthread_setname_np(thread, "left-behind");
  return SONICORN_OK;
}
