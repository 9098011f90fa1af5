/* A shutdown that crashes. */
#include <sonicorn/sonicorn.h>

SONICORN_ABI_MARK;

__attribute__((noinline)) static void write_to_nowhere(int* volatile nowhere) { *nowhere = 1; }

int32_t sonicorn_shutdown(const sonicorn_context* context, void* state) {
  (void)context;
  (void)state;
  write_to_nowhere(NULL);
  return SONICORN_OK;
}
