/* A signal that start blocks on the server's thread. */
#include <signal.h>
#include <sonicorn/sonicorn.h>

SONICORN_ABI_MARK;

int32_t sonicorn_start(const sonicorn_context* context, void** state) {
  (void)context;
  (void)state;
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGHUP);
  return pthread_sigmask(SIG_BLOCK, &set, NULL) == 0 ? SONICORN_OK : SONICORN_ERROR;
}
