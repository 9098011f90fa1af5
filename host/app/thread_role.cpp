#include "app/thread_role.hpp"

#include <sonicorn/context.h>

#include <algorithm>
#include <cstdlib>

#include "core/log.hpp"

namespace sonicorn::app {
namespace {

thread_local std::uint32_t role_here = 0;

}  // namespace

std::uint32_t thread_role() { return role_here; }

void set_thread_role(std::uint32_t role) { role_here = role; }

bool allowed_here(const char* function, std::initializer_list<std::uint32_t> roles) {
  if (std::find(roles.begin(), roles.end(), role_here) != roles.end()) return true;
  core::log::error(
      "an app called {} on {}; it may be called on {} only: see the thread tag in the "
      "header of the capability",
      function, name_of_role(role_here), name_of_role(*roles.begin()));
#ifndef NDEBUG
  std::abort();
#endif
  return false;
}

const char* name_of_role(std::uint32_t role) {
  switch (role) {
    case SONICORN_THREAD_LIFECYCLE:
      return "its lifecycle thread";
    case SONICORN_THREAD_IO:
      return "an I/O thread";
    case SONICORN_THREAD_POOL:
      return "a pool thread";
    case SONICORN_THREAD_BACKGROUND:
      return "a background thread";
    default:
      return "a thread that the server did not start";
  }
}

}  // namespace sonicorn::app
