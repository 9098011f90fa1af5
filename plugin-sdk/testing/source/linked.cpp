// SPDX-License-Identifier: Apache-2.0
#include "module.hpp"

// References that stay null where the executable has no such attribute. They pull nothing out of a
// static library.
#define SONICORN_TESTING_WEAK(name) \
  extern "C" __attribute__((weak)) decltype(sonicorn_##name) sonicorn_##name;
SONICORN_ATTRIBUTES(SONICORN_TESTING_WEAK)
#undef SONICORN_TESTING_WEAK

namespace sonicorn::testing::detail {

Functions linked_functions() {
  Functions functions;
#define SONICORN_TESTING_TAKE_LINKED(name) functions.name = &sonicorn_##name;
  SONICORN_ATTRIBUTES(SONICORN_TESTING_TAKE_LINKED)
#undef SONICORN_TESTING_TAKE_LINKED
  return functions;
}

}  // namespace sonicorn::testing::detail
