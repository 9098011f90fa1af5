// A thread-local object with a destructor, used in a constructor of a static object: the thread
// that loads the app keeps its code.
#include <sonicorn/sonicorn.h>

#include <string>

SONICORN_ABI_MARK;

namespace {

thread_local std::string scratch;

struct Early {
  Early() { scratch = "a text that is too long for its object"; }
} early;

}  // namespace

int32_t sonicorn_on_request(const sonicorn_context*, void*, const sonicorn_request*,
                            sonicorn_response* response) {
  response->body = SONICORN_STRING("here\n");
  return SONICORN_OK;
}
