/* Exports that its manifest does not explain. */
#include <sonicorn/sonicorn.h>

SONICORN_ABI_MARK;

SONICORN_EXPORT int check_visible_to_everybody(void);

int check_visible_to_everybody(void) { return 1; }

int32_t sonicorn_on_request(const sonicorn_context* context, void* state,
                            const sonicorn_request* request, sonicorn_response* response) {
  (void)context;
  (void)state;
  (void)request;
  response->body = SONICORN_STRING("here\n");
  return SONICORN_OK;
}

int32_t sonicorn_on_websocket_open(const sonicorn_context* context, void* state,
                                   const sonicorn_request* request,
                                   struct sonicorn_websocket* websocket, void** session) {
  (void)context;
  (void)state;
  (void)request;
  (void)websocket;
  (void)session;
  return SONICORN_DECLINED;
}

int32_t sonicorn_post_request(const sonicorn_context* context, void* state,
                              const sonicorn_request* request, const sonicorn_outcome* outcome,
                              void* exchange) {
  (void)context;
  (void)state;
  (void)request;
  (void)outcome;
  (void)exchange;
  return SONICORN_OK;
}
