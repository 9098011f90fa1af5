#include "conformance/trend.hpp"

#include <doctest/doctest.h>

#include <vector>

namespace sonicorn::conformance {
namespace {

using Samples = std::vector<std::uint64_t>;

// 51 samples, as of 50 runs.
template <class Value>
Samples samples_of(Value value) {
  Samples samples;
  for (std::uint64_t i = 0; i <= 50; ++i) samples.push_back(value(i));
  return samples;
}

TEST_CASE("what stays the same is flat") {
  CHECK(trend_of(Samples{}, 0).kind == Trend::Kind::flat);
  CHECK(trend_of(Samples{5}, 0).kind == Trend::Kind::flat);
  CHECK(trend_of(samples_of([](auto) { return 7; }), 0).kind == Trend::Kind::flat);
}

TEST_CASE("what shrinks is flat") {
  const Trend trend = trend_of(samples_of([](auto i) { return 100 - i; }), 0);
  CHECK(trend.kind == Trend::Kind::flat);
  CHECK(trend.per_run == 0);
}

TEST_CASE("what grows with each run is steady, and its rate is told") {
  const Trend trend = trend_of(samples_of([](auto i) { return 100 + 3 * i; }), 0);
  CHECK(trend.kind == Trend::Kind::steady);
  CHECK(trend.per_run == doctest::Approx(3));
}

TEST_CASE("what grows in every tenth run only is steady") {
  CHECK(trend_of(samples_of([](auto i) { return i / 10; }), 0).kind == Trend::Kind::steady);
}

TEST_CASE("growth in the first runs is a warm-up, and a late jump is none that goes on") {
  CHECK(trend_of(samples_of([](auto i) { return i < 3 ? i : 3; }), 0).kind == Trend::Kind::once);
  CHECK(trend_of(samples_of([](auto i) { return i < 40 ? 0 : 1000; }), 0).kind ==
        Trend::Kind::once);
}

TEST_CASE("noise that comes and goes is no growth") {
  const auto noisy = samples_of([](auto i) { return 1000 + i * 7919 % 101; });
  CHECK(trend_of(noisy, 4).kind != Trend::Kind::steady);
}

TEST_CASE("growth below the tolerance is not steady") {
  const auto slow = samples_of([](auto i) { return 10 * i; });
  CHECK(trend_of(slow, 11).kind == Trend::Kind::once);
  CHECK(trend_of(slow, 9).kind == Trend::Kind::steady);
}

TEST_CASE("of few samples only those that all rise are steady") {
  CHECK(trend_of(Samples{4, 5}, 0).kind == Trend::Kind::once);
  CHECK(trend_of(Samples{4, 5, 6}, 0).kind == Trend::Kind::steady);
  CHECK(trend_of(Samples{4, 5, 5, 5}, 0).kind == Trend::Kind::once);
  CHECK(trend_of(Samples{4, 5, 4}, 0).kind == Trend::Kind::flat);
}

}  // namespace
}  // namespace sonicorn::conformance
