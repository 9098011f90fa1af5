#include <sonicorn/sonicorn.h>

/* "blocking": false promises that nothing here ever waits. Take it out where something does. */
SONICORN_MANIFEST({"blocking": false});

static const char kPage[] =
    "<!doctype html>\n"
    "<html lang=\"en\">\n"
    "<head><meta charset=\"utf-8\"><title>@NAME@</title></head>\n"
    "<body>\n"
    "<h1>Hello from @NAME@</h1>\n"
    "</body>\n"
    "</html>\n";

/* Called for each request, on several threads at once. */
int32_t sonicorn_on_request(const sonicorn_context* context, void* state,
                            const sonicorn_request* request, sonicorn_response* response) {
  (void)context, (void)state;
  if (request->path.size != 1) return SONICORN_DECLINED; /* not "/": a 404 */
  response->content_type = SONICORN_STRING("text/html; charset=utf-8");
  response->body = SONICORN_STRING(kPage);
  return SONICORN_OK;
}

/* Called once, after the last request. */
int32_t sonicorn_shutdown(const sonicorn_context* context, void* state) {
  (void)context, (void)state;
  return SONICORN_OK;
}
