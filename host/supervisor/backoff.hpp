#pragma once

#include <algorithm>
#include <chrono>
#include <random>

#include "config/config.hpp"

namespace sonicorn::supervisor {

// How long to wait before a worker that died is started again: longer with every death, until one
// has lived long enough. A little of it is chance, so that many do not start at once.
class Backoff {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Backoff(const config::Workers& limits) : limits_(limits), next_(limits.backoff) {}

  // For one that died just now, having lived for `lived`. `chance` makes numbers as a standard
  // engine does.
  template <class Chance>
  std::chrono::milliseconds after(Clock::duration lived, Chance& chance) {
    if (lived >= limits_.backoff_reset) next_ = limits_.backoff;
    const auto base = std::min(next_, limits_.backoff_most);
    next_ = std::min(base * 2, limits_.backoff_most);
    std::uniform_int_distribution<std::chrono::milliseconds::rep> more(0, base.count() / 4);
    return base + std::chrono::milliseconds(more(chance));
  }

 private:
  config::Workers limits_;
  std::chrono::milliseconds next_;
};

}  // namespace sonicorn::supervisor
