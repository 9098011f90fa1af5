#include "conformance/trend.hpp"

#include <algorithm>
#include <functional>

namespace sonicorn::conformance {
namespace {

using Samples = std::span<const std::uint64_t>;

// Where a part lies when nothing disturbs it: noise only adds.
double floor_of(Samples part) {
  return static_cast<double>(*std::min_element(part.begin(), part.end()));
}

Trend trend_of_few(Samples samples, double tolerance) {
  if (samples.size() < 2 || samples.back() <= samples.front()) return {};
  const bool rising =
      std::adjacent_find(samples.begin(), samples.end(), std::greater_equal<>()) == samples.end();
  const double per_run = static_cast<double>(samples.back() - samples.front()) /
                         static_cast<double>(samples.size() - 1);
  const bool steady = rising && samples.size() > 2 && per_run >= tolerance;
  return {steady ? Trend::Kind::steady : Trend::Kind::once, per_run};
}

}  // namespace

Trend trend_of(Samples samples, double tolerance) {
  if (samples.size() < kEnoughSamples) return trend_of_few(samples, tolerance);
  const Samples warm = samples.subspan(kWarmUp);
  const std::size_t third = warm.size() / 3;
  const double first = floor_of(warm.first(third));
  const double second = floor_of(warm.subspan(third, third));
  const double last = floor_of(warm.last(third));
  const double per_run = (last - first) / static_cast<double>(warm.size() - third);
  if (first < second && second < last && per_run >= tolerance)
    return {Trend::Kind::steady, per_run};
  const bool grown = samples.back() > samples.front();
  return {grown ? Trend::Kind::once : Trend::Kind::flat, std::max(per_run, 0.0)};
}

}  // namespace sonicorn::conformance
