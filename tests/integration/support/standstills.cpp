#include "support/standstills.hpp"

#include <algorithm>

namespace support {
namespace {

using namespace std::chrono_literals;

constexpr auto kStep = 5ms;
// A thread of a busy machine is late by less.
constexpr auto kLate = 25ms;

}  // namespace

Standstills::Standstills() : thread_([this] { watch(); }) {}

Standstills::~Standstills() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  ending_changed_.notify_one();
  thread_.join();
}

void Standstills::watch() {
  std::unique_lock lock(mutex_);
  while (!ending_) {
    const auto now = Clock::now();
    if (now - seen_ > kLate) noted_.push_back({seen_, now});
    seen_ = now;
    ending_changed_.wait_for(lock, kStep);
  }
}

Standstills::Clock::duration Standstills::since(Clock::time_point begin) const {
  const std::lock_guard lock(mutex_);
  const auto now = Clock::now();
  Clock::duration sum{0};
  for (const Span& each : noted_) {
    if (each.end > begin) sum += each.end - std::max(each.begin, begin);
  }
  // The one that has just ended, and that the thread has not seen yet.
  if (now - seen_ > kLate) sum += now - std::max(seen_, begin);
  return sum;
}

Standstills::Clock::duration Standstills::took(Clock::time_point begin) const {
  return Clock::now() - begin - since(begin);
}

}  // namespace support
