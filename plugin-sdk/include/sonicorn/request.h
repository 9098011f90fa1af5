/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One HTTP request, whole. All of it belongs to the server and is valid until the call that
 * received it returns.
 */
#ifndef SONICORN_REQUEST_H
#define SONICORN_REQUEST_H

#include <sonicorn/abi.h>

SONICORN_BEGIN_C

/* A header field. Names compare without regard to case. Since 1.0. */
typedef struct sonicorn_field {
  sonicorn_string name;
  sonicorn_string value;
} sonicorn_field;

/* Since 1.0. */
typedef struct sonicorn_request {
  uint32_t size;          /* bytes of this struct */
  uint32_t http_version;  /* 10 or 11 */
  sonicorn_string method; /* "GET"; any token */
  sonicorn_string target; /* as received: "/todo/a%20b?x=1" */
  sonicorn_string mount;  /* where this app is mounted: "" or "/todo" */
  sonicorn_string path;   /* below the mount, decoded, without dot segments: "/a b"; at least "/" */
  sonicorn_string query;  /* as received, without the question mark */
  sonicorn_string scheme; /* "http" or "https" */
  sonicorn_string remote; /* the peer's address without port; "unix" for a Unix socket */
  sonicorn_string body;   /* whole, transfer coding removed */
  const sonicorn_field* fields; /* in the order received */
  uint64_t field_count;
} sonicorn_request;

SONICORN_STATIC_ASSERT(offsetof(sonicorn_request, fields) == 136, "ABI 1 layout");
SONICORN_STATIC_ASSERT(sizeof(sonicorn_request) == 152, "ABI 1.0 layout");

/*
 * The value of the first field of this name (any case), or a string whose data is NULL.
 * [request-thread] Since 1.0.
 */
static inline sonicorn_string sonicorn_header(const sonicorn_request* request, const char* name) {
  const uint64_t size = (uint64_t)__builtin_strlen(name);
  for (uint64_t i = 0; i < request->field_count; ++i) {
    const sonicorn_field* field = &request->fields[i];
    if (field->name.size != size) continue;
    uint64_t at = 0;
    while (at < size) {
      unsigned char a = (unsigned char)field->name.data[at];
      unsigned char b = (unsigned char)name[at];
      if (a >= 'A' && a <= 'Z') a = (unsigned char)(a + 32);
      if (b >= 'A' && b <= 'Z') b = (unsigned char)(b + 32);
      if (a != b) break;
      ++at;
    }
    if (at == size) return field->value;
  }
  const sonicorn_string absent = {NULL, 0};
  return absent;
}

SONICORN_END_C

#endif
