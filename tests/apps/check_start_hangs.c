/* A start that does not return. */
#include <sonicorn/sonicorn.h>
#include <unistd.h>

SONICORN_ABI_MARK;

__attribute__((noinline)) static void wait_for_nobody(void) {
  for (;;) pause();
}

int32_t sonicorn_start(const sonicorn_context* context, void** state) {
  (void)context;
  (void)state;
  wait_for_nobody();
  return SONICORN_OK;
}
