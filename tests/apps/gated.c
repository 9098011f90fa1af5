/*
 * On the I/O thread, and each step as long as the test wants. Settings: "journal" names a file that
 * gets a line for every call; "entered" and "gate" name FIFOs: the first gets a byte when a handler
 * begins, and it takes a byte from the other before it answers. "shutdown_entered" and
 * "shutdown_gate" are the same for shutdown.
 */
#include "fixture.h"

SONICORN_MANIFEST({"name" : "gated", "blocking" : false});

static void write_line(const sonicorn_context* context, const char* line) {
  char path[FIXTURE_PATH_SIZE];
  fixture_setting(context->server, "journal", path);
  if (path[0] == 0) return;
  const int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (file < 0 || write(file, line, strlen(line)) < 0) abort();
  close(file);
}

static void pass(const sonicorn_context* context, const char* entered, const char* gate) {
  char path[FIXTURE_PATH_SIZE];
  fixture_setting(context->server, entered, path);
  fixture_signal(path);
  fixture_setting(context->server, gate, path);
  if (path[0] != 0) fixture_wait(path);
}

int32_t sonicorn_on_request(const sonicorn_context* context, void* state,
                            const sonicorn_request* request, sonicorn_response* response) {
  (void)state;
  (void)request;
  write_line(context, "on_request\n");
  pass(context, "entered", "gate");
  response->body = SONICORN_STRING("gated\n");
  return SONICORN_OK;
}

int32_t sonicorn_shutdown(const sonicorn_context* context, void* state) {
  (void)state;
  write_line(context, "shutdown\n");
  pass(context, "shutdown_entered", "shutdown_gate");
  return SONICORN_OK;
}
