/* Executes a program that lists the descriptors it inherited, and answers that list. */
#include <stdio.h>

#include "fixture.h"

SONICORN_MANIFEST({"name" : "lists-descriptors"});

int32_t sonicorn_on_request(const sonicorn_context* context, void* state,
                            const sonicorn_request* request, sonicorn_response* response) {
  enum { kMost = 65536 };
  (void)state;
  (void)request;
  char* text = response->allocate(response, kMost);
  if (text == NULL) return sonicorn_fail(context, "no memory");
  FILE* list = popen("exec ls -l /proc/self/fd", "re");
  if (list == NULL) return sonicorn_fail(context, "cannot execute ls");
  response->body.data = text;
  response->body.size = fread(text, 1, kMost, list);
  if (pclose(list) != 0) return sonicorn_fail(context, "ls failed");
  return SONICORN_OK;
}
