#include "core/turns.hpp"

#include <doctest/doctest.h>
#include <sched.h>
#include <sys/resource.h>

#include <thread>

namespace sonicorn::core {
namespace {

// doctest's checks belong on the test's own thread.
struct Seen {
  int policy = -1;
  int nice = -1;
};

template <class Wish>
Seen seen_after(Wish wish) {
  Seen seen;
  std::thread([&] {
    wish();
    seen = {::sched_getscheduler(0), ::getpriority(PRIO_PROCESS, 0)};
  }).join();
  return seen;
}

TEST_CASE("who steps back works in the background, and nobody else does") {
  const int own = ::getpriority(PRIO_PROCESS, 0);
  const Seen seen = seen_after(step_back);
  CHECK(seen.policy == SCHED_BATCH);
  CHECK(seen.nice == 5);
  CHECK(::sched_getscheduler(0) == SCHED_OTHER);
  CHECK(::getpriority(PRIO_PROCESS, 0) == own);
}

TEST_CASE("who asks for short turns keeps its share") {
  const Seen seen = seen_after(ask_for_short_turns);
  CHECK(seen.policy == SCHED_OTHER);
  CHECK(seen.nice == ::getpriority(PRIO_PROCESS, 0));
}

}  // namespace
}  // namespace sonicorn::core
