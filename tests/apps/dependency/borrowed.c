/* Defines attributes in a library that an app merely depends on: a plain dlsym on the app finds
 * them. */
#include <sonicorn/sonicorn.h>
#include <stdlib.h>

SONICORN_EXPORT int32_t borrowed_number(void);

int32_t borrowed_number(void) { return 7; }

int32_t sonicorn_start(const sonicorn_context* context, void** state) {
  (void)context;
  (void)state;
  abort();
}

int32_t sonicorn_shutdown(const sonicorn_context* context, void* state) {
  (void)context;
  (void)state;
  abort();
}
