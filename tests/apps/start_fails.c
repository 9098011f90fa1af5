/* Declines to start. Its shutdown must never be called. */
#include <sonicorn/sonicorn.h>
#include <stdlib.h>

SONICORN_MANIFEST({"name" : "start-fails"});

int32_t sonicorn_start(const sonicorn_context* context, void** state) {
  (void)state;
  return sonicorn_fail(context, "the database is away");
}

int32_t sonicorn_on_request(const sonicorn_context* context, void* state,
                            const sonicorn_request* request, sonicorn_response* response) {
  (void)context;
  (void)state;
  (void)request;
  (void)response;
  abort();
}

int32_t sonicorn_shutdown(const sonicorn_context* context, void* state) {
  (void)context;
  (void)state;
  abort();
}
