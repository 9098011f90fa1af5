/* A static destructor that does not return. The setting "entered" names a FIFO that gets a byte
   when it begins. */
#include "fixture.h"

SONICORN_MANIFEST({"name" : "destructor-hangs"});

static char entered[FIXTURE_PATH_SIZE];

int32_t sonicorn_start(const sonicorn_context* context, void** state) {
  (void)state;
  fixture_setting(context->server, "entered", entered);
  return SONICORN_OK;
}

__attribute__((destructor)) static void hang(void) {
  if (entered[0] == 0) return;
  fixture_signal(entered);
  for (;;) pause();
}
