/* A start that ends the process. */
#include <sonicorn/sonicorn.h>
#include <stdlib.h>

SONICORN_ABI_MARK;

int32_t sonicorn_start(const sonicorn_context* context, void** state) {
  (void)context;
  (void)state;
  exit(3);
}
