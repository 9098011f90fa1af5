/* Its start installs a signal handler that nobody takes away. */
#include <signal.h>

#include "fixture.h"

SONICORN_MANIFEST({"name" : "leaves_handler", "blocking" : false});

static void handle(int number) { (void)number; }

int32_t sonicorn_start(const sonicorn_context* context, void** state) {
  (void)context;
  (void)state;
  signal(SIGUSR2, handle);
  return SONICORN_OK;
}
