#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace sonicorn::conformance {

// How a quantity that is measured after each run develops.
struct Trend {
  enum class Kind : std::uint8_t {
    flat,
    once,    // it has grown, and stays
    steady,  // it grows on and on
  };
  Kind kind = Kind::flat;
  double per_run = 0;  // mean growth a run after the warm-up
};

// The first runs may fill caches, so what they add does not count.
inline constexpr std::size_t kWarmUp = 3;

// With fewer samples a noisy quantity says nothing.
inline constexpr std::size_t kEnoughSamples = 12;

// samples[0] is from before the first run. Growth counts as steady when it is at least `tolerance`
// a run, and present in each part of the time: noise and a single late jump are not.
Trend trend_of(std::span<const std::uint64_t> samples, double tolerance);

}  // namespace sonicorn::conformance
