/* Its start makes a thread that runs its code, from before start returns, as long as the process
   lives. */
#include <pthread.h>
#include <sched.h>

#include "fixture.h"

SONICORN_ABI_MARK;

static volatile unsigned turns;

static void* turn(void* argument) {
  (void)argument;
  for (;;) ++turns;
  return NULL;
}

int32_t sonicorn_start(const sonicorn_context* context, void** state) {
  (void)state;
  pthread_t thread;
  if (pthread_create(&thread, NULL, turn, NULL) != 0) return sonicorn_fail(context, "no thread");
  pthread_detach(thread);
  while (turns == 0) sched_yield();
  return SONICORN_OK;
}
