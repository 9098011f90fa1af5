/* Its start makes a key of C11 with a destructor, and nobody deletes it. */
#include <threads.h>

#include "fixture.h"

SONICORN_MANIFEST({"name" : "leaves_tss", "blocking" : false});

static void destroy(void* value) { (void)value; }

static tss_t key;

int32_t sonicorn_start(const sonicorn_context* context, void** state) {
  (void)state;
  if (tss_create(&key, destroy) != thrd_success) return sonicorn_fail(context, "no key");
  return SONICORN_OK;
}
