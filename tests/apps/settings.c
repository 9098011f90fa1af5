/* Answers what the server says of itself: by default the settings, else what the query's `show`
 * asks. */
#include <stdio.h>

#include "fixture.h"

SONICORN_MANIFEST({"name" : "settings", "blocking" : false});

static sonicorn_string promise(const sonicorn_server* server, sonicorn_response* response) {
  const sonicorn_string none = {NULL, 0};
  const sonicorn_shutdown_promise* table =
      server->get_capability(server, SONICORN_CAPABILITY_SHUTDOWN);
  char* text = response->allocate(response, 128);
  if (table == NULL || text == NULL) return none;
  sonicorn_string answer = {text, 0};
  answer.size =
      (uint64_t)snprintf(text, 128, "{\"grace_ms\":%u,\"term\":%d,\"int\":%d}", table->grace_ms,
                         (int)(table->signals >> 15 & 1), (int)(table->signals >> 2 & 1));
  return answer;
}

/* Whether the server has the capability of the query's `id`, in which ~ stands for /. */
static sonicorn_string capability(const sonicorn_server* server, const sonicorn_request* request) {
  const sonicorn_string id = fixture_query(request, "id");
  char text[64] = "";
  for (uint64_t i = 0; i < id.size && i + 1 < sizeof text; ++i) {
    text[i] = id.data[i] == '~' ? '/' : id.data[i];
  }
  return server->get_capability(server, text) != NULL ? SONICORN_STRING("yes")
                                                      : SONICORN_STRING("no");
}

int32_t sonicorn_on_request(const sonicorn_context* context, void* state,
                            const sonicorn_request* request, sonicorn_response* response) {
  (void)state;
  const sonicorn_server* server = context->server;
  const sonicorn_string show = fixture_query(request, "show");
  response->content_type = SONICORN_STRING("application/json");
  response->body = server->settings;
  if (fixture_equals(show, "name")) response->body = server->name;
  if (fixture_equals(show, "version")) response->body = server->version;
  if (fixture_equals(show, "app_name")) response->body = server->app_name;
  if (fixture_equals(show, "mount")) response->body = server->mount;
  if (fixture_equals(show, "promise")) response->body = promise(server, response);
  if (fixture_equals(show, "capability")) response->body = capability(server, request);
  return SONICORN_OK;
}
