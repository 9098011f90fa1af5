/* Handlers for a signal of the server and for another, neither of them put back. */
#include <signal.h>
#include <sonicorn/sonicorn.h>

SONICORN_ABI_MARK;

static void on_signal(int signal) { (void)signal; }

int32_t sonicorn_start(const sonicorn_context* context, void** state) {
  (void)context;
  (void)state;
  signal(SIGTERM, &on_signal);
  signal(SIGUSR2, &on_signal);
  return SONICORN_OK;
}
