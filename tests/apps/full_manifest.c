/* A manifest that says everything, and several attributes. */
#include <sonicorn/sonicorn.h>

SONICORN_MANIFEST({
  "name" : "full",
  "version" : "1.2.3",
  "description" : "says everything",
  "requires" : ["shutdown/1"],
  "uses" : [ "log/1", "com.example.thing/2" ],
  "threads" : "serial",
  "blocking" : false,
  "overlap" : "exclusive",
  "state_schema" : "full/1"
});

int32_t sonicorn_start(const sonicorn_context* context, void** state) {
  (void)context;
  (void)state;
  return SONICORN_OK;
}

int32_t sonicorn_health(const sonicorn_context* context, void* state) {
  (void)context;
  (void)state;
  return SONICORN_OK;
}

int32_t sonicorn_shutdown(const sonicorn_context* context, void* state) {
  (void)context;
  (void)state;
  return SONICORN_OK;
}
