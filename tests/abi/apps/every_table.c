/* An app in C that names every capability's table by its type and its id. */
#include <sonicorn/sonicorn.h>

SONICORN_MANIFEST({"name": "every-table"});

#define ASK(table, name)                                                     \
  do {                                                                       \
    const table* found = (const table*)server->get_capability(server, name); \
    if (found != NULL && found->size >= sizeof(table)) ++*delivered;         \
  } while (0)

static int32_t count(const sonicorn_server* server, uint32_t* delivered) {
  ASK(sonicorn_shutdown_promise, SONICORN_CAPABILITY_SHUTDOWN);
  ASK(sonicorn_drain_promise, SONICORN_CAPABILITY_DRAIN);
  ASK(sonicorn_reload_promise, SONICORN_CAPABILITY_RELOAD);
  ASK(sonicorn_state_promise, SONICORN_CAPABILITY_STATE);
  ASK(sonicorn_request_events_promise, SONICORN_CAPABILITY_REQUEST_EVENTS);
  ASK(sonicorn_events_promise, SONICORN_CAPABILITY_EVENTS);
  ASK(sonicorn_streaming, SONICORN_CAPABILITY_STREAMING);
  ASK(sonicorn_deferred, SONICORN_CAPABILITY_DEFERRED);
  ASK(sonicorn_websocket_service, SONICORN_CAPABILITY_WEBSOCKET);
  ASK(sonicorn_log, SONICORN_CAPABILITY_LOG);
  ASK(sonicorn_metrics, SONICORN_CAPABILITY_METRICS);
  ASK(sonicorn_timer, SONICORN_CAPABILITY_TIMER);
  ASK(sonicorn_background, SONICORN_CAPABILITY_BACKGROUND);
  ASK(sonicorn_bus, SONICORN_CAPABILITY_BUS);
  ASK(sonicorn_control, SONICORN_CAPABILITY_CONTROL);
  ASK(sonicorn_thread_check, SONICORN_CAPABILITY_THREAD_CHECK);
  return SONICORN_OK;
}

int32_t sonicorn_start(const sonicorn_context* context, void** state) {
  static uint32_t delivered;
  *state = &delivered;
  return count(context->server, &delivered);
}
