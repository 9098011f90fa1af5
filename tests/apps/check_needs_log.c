/* It says that it can do without log/1, and cannot. Two more capabilities it does not touch. */
#include <sonicorn/sonicorn.h>

SONICORN_MANIFEST({"name" : "needs-log", "uses" : [ "log/1", "timer/1", "com.example.thing/1" ]});

int32_t sonicorn_on_request(const sonicorn_context* context, void* state,
                            const sonicorn_request* request, sonicorn_response* response) {
  (void)state;
  (void)request;
  const sonicorn_log* log = (const sonicorn_log*)context->server->get_capability(
      context->server, SONICORN_CAPABILITY_LOG);
  log->write(context->server, SONICORN_LOG_INFO, "asked", 5);
  response->body = SONICORN_STRING("here\n");
  return SONICORN_OK;
}
