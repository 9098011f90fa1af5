/* A body of the query's `bytes`, byte i being i % 251. The setting "released" names a FIFO that
   gets a byte when the server no longer needs it. */
#include <stdio.h>

#include "fixture.h"

SONICORN_MANIFEST({"name" : "big"});

struct body {
  char released[FIXTURE_PATH_SIZE];
  char bytes[];
};

static void release(void* argument) {
  struct body* body = argument;
  fixture_signal(body->released);
  free(body);
}

int32_t sonicorn_on_request(const sonicorn_context* context, void* state,
                            const sonicorn_request* request, sonicorn_response* response) {
  (void)state;
  const uint64_t size = fixture_query_number(request, "bytes", 1048576);
  struct body* body = malloc(sizeof(struct body) + size);
  if (body == NULL) return sonicorn_fail(context, "no memory for the body");
  fixture_setting(context->server, "released", body->released);
  for (uint64_t i = 0; i < size && i < 251; ++i) body->bytes[i] = (char)i;
  for (uint64_t done = 251; done < size;) {
    const uint64_t more = size - done < done ? size - done : done / 251 * 251;
    memcpy(body->bytes + done, body->bytes, more);
    done += more;
  }
  response->body.data = body->bytes;
  response->body.size = size;
  response->release = release;
  response->release_argument = body;
  return SONICORN_OK;
}
