/* Crashes while it is loaded. */
#include <signal.h>
#include <sonicorn/sonicorn.h>

SONICORN_ABI_MARK;

__attribute__((constructor)) static void crash(void) {
  /* The default action first: a sanitizer in the host would turn the signal into an exit. */
  signal(SIGSEGV, SIG_DFL);
  *(volatile int*)8 = 0;
}
