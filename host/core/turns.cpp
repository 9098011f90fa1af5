#include "core/turns.hpp"

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>

namespace sonicorn::core {
namespace {

constexpr std::uint64_t kShortTurn = 100'000;  // nanoseconds; the kernel takes no shorter ones
constexpr int kBackground = 5;                 // a third of the share of somebody else

// sched_setattr(2), which the C library does not have.
struct SchedulingAttributes {
  std::uint32_t size = sizeof(SchedulingAttributes);
  std::uint32_t policy = SCHED_OTHER;
  std::uint64_t flags = 0;
  std::int32_t nice = 0;
  std::uint32_t priority = 0;
  std::uint64_t runtime = 0;  // the length of a turn; 0: the kernel's
  std::uint64_t deadline = 0;
  std::uint64_t period = 0;
};

void set(const SchedulingAttributes& wanted) { ::syscall(SYS_sched_setattr, 0, &wanted, 0); }

}  // namespace

void ask_for_short_turns() { set({.nice = ::getpriority(PRIO_PROCESS, 0), .runtime = kShortTurn}); }

void step_back() {
  set({.policy = SCHED_BATCH, .nice = std::max(kBackground, ::getpriority(PRIO_PROCESS, 0))});
}

}  // namespace sonicorn::core
