/* Never finishes loading. */
#include <sonicorn/sonicorn.h>
#include <unistd.h>

SONICORN_ABI_MARK;

__attribute__((constructor)) static void hang(void) {
  for (;;) pause();
}
