/* 8 MiB, byte i being i % 251, from the pool. Settings, each the path of a FIFO: "entered" gets a
   byte when a handler begins; it takes a byte from "gate" before it answers. */
#include "fixture.h"

SONICORN_MANIFEST({"name" : "big-gated"});

static char body[8 * 1024 * 1024];

int32_t sonicorn_start(const sonicorn_context* context, void** state) {
  (void)context;
  (void)state;
  for (size_t i = 0; i < sizeof body; ++i) body[i] = (char)(i % 251);
  return SONICORN_OK;
}

int32_t sonicorn_on_request(const sonicorn_context* context, void* state,
                            const sonicorn_request* request, sonicorn_response* response) {
  (void)state;
  (void)request;
  char path[FIXTURE_PATH_SIZE];
  fixture_setting(context->server, "entered", path);
  fixture_signal(path);
  fixture_setting(context->server, "gate", path);
  if (path[0] != 0) fixture_wait(path);
  response->body.data = body;
  response->body.size = sizeof body;
  return SONICORN_OK;
}
