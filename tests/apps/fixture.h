/* What several fixtures share: reading a setting or a query value, and telling a test that
   something happened through a FIFO that a setting names. */
#ifndef SONICORN_TESTS_FIXTURE_H
#define SONICORN_TESTS_FIXTURE_H

#include <fcntl.h>
#include <sonicorn/sonicorn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FIXTURE_PATH_SIZE 256

/* Copies the string setting `key` to `value`; an empty text when there is none. Knows no escapes.
 */
static inline void fixture_setting(const sonicorn_server* server, const char* key,
                                   char value[FIXTURE_PATH_SIZE]) {
  const char* at = server->settings.data;
  const char* end = at + server->settings.size;
  const size_t key_size = strlen(key);
  value[0] = 0;
  for (; at + key_size + 2 < end; ++at) {
    if (*at != '"' || memcmp(at + 1, key, key_size) != 0 || at[key_size + 1] != '"') continue;
    at += key_size + 2;
    while (at < end && (*at == ':' || *at == ' ')) ++at;
    if (at == end || *at != '"') return;
    size_t size = 0;
    for (++at; at < end && *at != '"' && size + 1 < FIXTURE_PATH_SIZE; ++at) value[size++] = *at;
    value[size] = 0;
    return;
  }
}

/* The value of `key` in the query, undecoded; data is NULL when it is absent. */
static inline sonicorn_string fixture_query(const sonicorn_request* request, const char* key) {
  const size_t key_size = strlen(key);
  const char* at = request->query.data;
  const char* end = at + request->query.size;
  sonicorn_string value = {NULL, 0};
  while (at < end) {
    const char* stop = (const char*)memchr(at, '&', (size_t)(end - at));
    if (stop == NULL) stop = end;
    if ((size_t)(stop - at) > key_size && memcmp(at, key, key_size) == 0 && at[key_size] == '=') {
      value.data = at + key_size + 1;
      value.size = (uint64_t)(stop - value.data);
      return value;
    }
    at = stop + 1;
  }
  return value;
}

/* The decimal number `key` of the query, or `otherwise`. */
static inline uint64_t fixture_query_number(const sonicorn_request* request, const char* key,
                                            uint64_t otherwise) {
  const sonicorn_string text = fixture_query(request, key);
  uint64_t number = 0;
  if (text.data == NULL || text.size == 0) return otherwise;
  for (uint64_t i = 0; i < text.size; ++i) number = number * 10 + (uint64_t)(text.data[i] - '0');
  return number;
}

static inline int fixture_equals(sonicorn_string text, const char* other) {
  return text.size == strlen(other) && memcmp(text.data, other, text.size) == 0;
}

/* One byte into the FIFO at `path`; nothing when the path is empty. */
static inline void fixture_signal(const char* path) {
  if (path[0] == 0) return;
  const int fifo = open(path, O_WRONLY | O_CLOEXEC);
  if (fifo < 0) return;
  if (write(fifo, "!", 1) != 1) abort();
  close(fifo);
}

/* Blocks until there is a byte in the FIFO at `path`, and takes it. */
static inline void fixture_wait(const char* path) {
  char byte;
  const int fifo = open(path, O_RDWR | O_CLOEXEC);
  if (fifo < 0) return;
  while (read(fifo, &byte, 1) < 0) continue;
  close(fifo);
}

#endif
