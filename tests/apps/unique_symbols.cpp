// Carries symbols that GCC makes unique in the whole process, so that a new build runs on the old
// one's.
#include <sonicorn/sonicorn.h>

SONICORN_ABI_MARK;

template <class T>
struct __attribute__((visibility("default"))) Shared {
  static T calls;
};

template <class T>
T Shared<T>::calls = 0;

int32_t sonicorn_on_request(const sonicorn_context*, void*, const sonicorn_request*,
                            sonicorn_response* response) {
  response->body = ++Shared<unsigned>::calls > 0 ? SONICORN_STRING("unique symbols\n")
                                                 : SONICORN_STRING("overflow\n");
  return SONICORN_OK;
}
