/*
 * The handler of echo and echo_pool. It answers the request's body, or the part of the request that
 * the query's `show` names: method, target, mount, path, query, scheme, remote, version, fields
 * (their number), field (the value of the query's `name`), thread (the role of the thread).
 * `status` sets the status.
 */
#ifndef SONICORN_TESTS_ECHO_ANSWER_H
#define SONICORN_TESTS_ECHO_ANSWER_H

#include <stdio.h>

#include "fixture.h"

static sonicorn_string echo_number(sonicorn_response* response, uint64_t number) {
  char* text = response->allocate(response, 24);
  sonicorn_string answer = {text, 0};
  if (text != NULL) answer.size = (uint64_t)snprintf(text, 24, "%llu", (unsigned long long)number);
  return answer;
}

static sonicorn_string echo_field(const sonicorn_request* request) {
  char name[64] = "";
  const sonicorn_string wanted = fixture_query(request, "name");
  if (wanted.size < sizeof name) memcpy(name, wanted.data, wanted.size);
  const sonicorn_string value = sonicorn_header(request, name);
  return value.data != NULL ? value : SONICORN_STRING("(absent)");
}

int32_t sonicorn_on_request(const sonicorn_context* context, void* state,
                            const sonicorn_request* request, sonicorn_response* response) {
  (void)state;
  static const sonicorn_field field = {{"X-Echo", 6}, {"yes", 3}};
  const sonicorn_string show = fixture_query(request, "show");
  response->status = (uint32_t)fixture_query_number(request, "status", 200);
  response->content_type = SONICORN_STRING("text/plain");
  response->fields = &field;
  response->field_count = 1;
  response->body = request->body;
  if (show.data == NULL) return SONICORN_OK;
  if (fixture_equals(show, "method")) response->body = request->method;
  if (fixture_equals(show, "target")) response->body = request->target;
  if (fixture_equals(show, "mount")) response->body = request->mount;
  if (fixture_equals(show, "path")) response->body = request->path;
  if (fixture_equals(show, "query")) response->body = request->query;
  if (fixture_equals(show, "scheme")) response->body = request->scheme;
  if (fixture_equals(show, "remote")) response->body = request->remote;
  if (fixture_equals(show, "version"))
    response->body = echo_number(response, request->http_version);
  if (fixture_equals(show, "fields")) response->body = echo_number(response, request->field_count);
  if (fixture_equals(show, "field")) response->body = echo_field(request);
  if (fixture_equals(show, "pid"))
    response->body = echo_number(response, (uint64_t)context->process_id);
  if (fixture_equals(show, "thread")) response->body = echo_number(response, context->thread_role);
  return SONICORN_OK;
}

#endif
