/* A static destructor that still asks the server for something. The setting "asked" names a FIFO
   that gets a byte then. */
#include "fixture.h"

SONICORN_MANIFEST({"name" : "destructor-asks"});

static const sonicorn_server* server;
static const sonicorn_control* control;
static char asked[FIXTURE_PATH_SIZE];

int32_t sonicorn_start(const sonicorn_context* context, void** state) {
  (void)state;
  server = context->server;
  control = server->get_capability(server, SONICORN_CAPABILITY_CONTROL);
  fixture_setting(server, "asked", asked);
  return SONICORN_OK;
}

__attribute__((destructor)) static void ask(void) {
  if (control == NULL) return;
  for (int i = 0; i < 100; ++i) control->ask(server, SONICORN_CONTROL_STOP, NULL, 0);
  fixture_signal(asked);
}
