/* A descriptor that each start opens and nobody closes. */
#include <fcntl.h>
#include <sonicorn/sonicorn.h>

SONICORN_ABI_MARK;

int32_t sonicorn_start(const sonicorn_context* context, void** state) {
  (void)context;
  (void)state;
  return open("/dev/null", O_RDONLY | O_CLOEXEC) >= 0 ? SONICORN_OK : SONICORN_ERROR;
}
