/* A constructor of it writes to standard output. */
#include <sonicorn/sonicorn.h>
#include <unistd.h>

SONICORN_ABI_MARK;

__attribute__((constructor)) static void print(void) {
  static const char kText[] = "constructor_prints was here\n";
  if (write(STDOUT_FILENO, kText, sizeof(kText) - 1) < 0) return;
}
