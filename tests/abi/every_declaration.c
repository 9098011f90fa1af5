/* One variable for every attribute and every struct of the C ABI, for abi_baseline.py: their types
   lead to all that the headers declare, and nothing of the headers is said here once more. */
#include <sonicorn/sonicorn.h>

/* Of the same type as &sonicorn_NAME: a new attribute of the list is here by itself. */
#define ATTRIBUTE(name)                                       \
  extern __typeof__(sonicorn_##name)* const attribute_##name; \
  __typeof__(sonicorn_##name)* const attribute_##name = NULL;
SONICORN_ATTRIBUTES(ATTRIBUTE)

/* A pointer, since the size of the variable itself must not change when the struct grows. */
#define STRUCT(name)                      \
  extern const name* const struct_##name; \
  const name* const struct_##name = NULL;
STRUCT(sonicorn_string)
STRUCT(sonicorn_context)
STRUCT(sonicorn_server)
STRUCT(sonicorn_field)
STRUCT(sonicorn_request)
STRUCT(sonicorn_response)
STRUCT(sonicorn_outcome)
STRUCT(sonicorn_blob)
STRUCT(sonicorn_websocket_message)
STRUCT(sonicorn_websocket_end)
STRUCT(sonicorn_shutdown_promise)
STRUCT(sonicorn_drain_promise)
STRUCT(sonicorn_reload_promise)
STRUCT(sonicorn_state_promise)
STRUCT(sonicorn_request_events_promise)
STRUCT(sonicorn_events_promise)
STRUCT(sonicorn_streaming)
STRUCT(sonicorn_deferred)
STRUCT(sonicorn_websocket_service)
STRUCT(sonicorn_log)
STRUCT(sonicorn_metrics)
STRUCT(sonicorn_timer)
STRUCT(sonicorn_background)
STRUCT(sonicorn_bus)
STRUCT(sonicorn_control)
STRUCT(sonicorn_thread_check)
