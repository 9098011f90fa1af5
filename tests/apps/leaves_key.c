/* Its start makes a pthread key with a destructor, and nobody deletes it. */
#include <pthread.h>

#include "fixture.h"

SONICORN_MANIFEST({"name" : "leaves_key", "blocking" : false});

static void destroy(void* value) { (void)value; }

static pthread_key_t key;

int32_t sonicorn_start(const sonicorn_context* context, void** state) {
  (void)state;
  if (pthread_key_create(&key, destroy) != 0) return sonicorn_fail(context, "no key");
  return SONICORN_OK;
}
