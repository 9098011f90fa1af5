/* Counts its requests on the pool and hands the count over (TALLY_SCHEMA); a state of another
   schema it declines. With the query "schema" it answers with its own, and counts nothing. With the
   setting "lock" it fails to start while another one runs. */
#include <errno.h>
#include <stdio.h>

#include "fixture.h"

static unsigned long count;
static char lock_path[FIXTURE_PATH_SIZE];

int32_t sonicorn_start(const sonicorn_context* context, void** state) {
  (void)state;
  fixture_setting(context->server, "lock", lock_path);
  if (lock_path[0] == 0) return SONICORN_OK;
  const int file = open(lock_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) return sonicorn_fail(context, "another one runs");
  close(file);
  return SONICORN_OK;
}

int32_t sonicorn_on_request(const sonicorn_context* context, void* state,
                            const sonicorn_request* request, sonicorn_response* response) {
  (void)context;
  (void)state;
#ifdef TALLY_SCHEMA
  if (fixture_equals(request->query, "schema")) {
    response->body = SONICORN_STRING(TALLY_SCHEMA);
    return SONICORN_OK;
  }
#else
  (void)request;
#endif
  char* const text = (char*)response->allocate(response, 32);
  if (text == NULL) return SONICORN_ERROR;
  const unsigned long now = __atomic_add_fetch(&count, 1, __ATOMIC_RELAXED);
  response->body.data = text;
  response->body.size = (uint64_t)snprintf(text, 32, "%lu", now);
  return SONICORN_OK;
}

#ifdef TALLY_SCHEMA
int32_t sonicorn_save_state(const sonicorn_context* context, void* state, sonicorn_blob* saved) {
  static const char schema[] = TALLY_SCHEMA;
  (void)context;
  (void)state;
  saved->schema.data = schema;
  saved->schema.size = sizeof(schema) - 1;
  saved->bytes.data = (const char*)&count;
  saved->bytes.size = sizeof(count);
  return SONICORN_OK;
}

int32_t sonicorn_load_state(const sonicorn_context* context, void* state,
                            const sonicorn_blob* saved) {
  (void)context;
  (void)state;
  if (!fixture_equals(saved->schema, TALLY_SCHEMA)) return SONICORN_DECLINED;
  if (saved->bytes.size != sizeof(count)) return SONICORN_ERROR;
  memcpy(&count, saved->bytes.data, sizeof(count));
  return SONICORN_OK;
}
#endif

int32_t sonicorn_shutdown(const sonicorn_context* context, void* state) {
  (void)context;
  (void)state;
  if (lock_path[0] != 0) unlink(lock_path);
  return SONICORN_OK;
}
