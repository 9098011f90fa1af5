/* Answers that would break the message; the query says which. */
#include "fixture.h"

SONICORN_MANIFEST({"name" : "bad-header", "blocking" : false});

int32_t sonicorn_on_request(const sonicorn_context* context, void* state,
                            const sonicorn_request* request, sonicorn_response* response) {
  (void)context;
  (void)state;
  static const sonicorn_field crlf = {{"X-Bad", 5}, {"a\r\nX-Injected: 1", 16}};
  static const sonicorn_field lf = {{"X-Bad", 5}, {"a\nX-Injected: 1", 15}};
  static const sonicorn_field nul = {{"X-Bad", 5}, {"a\0b", 3}};
  static const sonicorn_field name = {{"X Bad", 5}, {"a", 1}};
  static const sonicorn_field empty_name = {{"", 0}, {"a", 1}};
  static const sonicorn_field length = {{"Content-Length", 14}, {"5", 1}};
  static const sonicorn_field coding = {{"transfer-encoding", 17}, {"chunked", 7}};
  const sonicorn_string which = request->query;
  response->body = SONICORN_STRING("a body\n");
  response->field_count = 1;
  if (fixture_equals(which, "crlf")) response->fields = &crlf;
  if (fixture_equals(which, "lf")) response->fields = &lf;
  if (fixture_equals(which, "nul")) response->fields = &nul;
  if (fixture_equals(which, "name")) response->fields = &name;
  if (fixture_equals(which, "empty_name")) response->fields = &empty_name;
  if (fixture_equals(which, "length")) response->fields = &length;
  if (fixture_equals(which, "coding")) response->fields = &coding;
  if (response->fields == NULL) response->field_count = 0;
  if (fixture_equals(which, "type")) response->content_type = SONICORN_STRING("a\r\nX-Injected: 1");
  if (fixture_equals(which, "status_low")) response->status = 101;
  if (fixture_equals(which, "status_high")) response->status = 1000;
  return SONICORN_OK;
}
