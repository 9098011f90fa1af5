/* A mebibyte that each start takes and nobody gives back. */
#include <sonicorn/sonicorn.h>
#include <stdlib.h>
#include <string.h>

SONICORN_ABI_MARK;

int32_t sonicorn_start(const sonicorn_context* context, void** state) {
  (void)context;
  *state = malloc(1 << 20);
  if (*state == NULL) return SONICORN_ERROR;
  memset(*state, 1, 1 << 20);
  return SONICORN_OK;
}
