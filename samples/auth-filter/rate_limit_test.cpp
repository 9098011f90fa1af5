#include "rate_limit.hpp"

#include <doctest/doctest.h>

#include <string>

using namespace std::chrono_literals;

TEST_CASE("a bucket gives what is in it, then as much as flows in") {
  RateLimit limit(2);
  const RateLimit::Clock::time_point start{};
  CHECK(limit.take("a", start).remaining == 1);
  CHECK(limit.take("a", start).remaining == 0);
  const auto refused = limit.take("a", start);
  CHECK_FALSE(refused.allowed);
  CHECK(refused.retry_after == 30s);
  CHECK(limit.take("a", start + 20s).retry_after == 10s);
  CHECK(limit.take("a", start + 31s).allowed);
  CHECK_FALSE(limit.take("a", start + 32s).allowed);
}

TEST_CASE("a bucket never holds more than a minute's worth") {
  RateLimit limit(3);
  const RateLimit::Clock::time_point start{};
  limit.take("a", start);
  CHECK(limit.take("a", start + 24h).remaining == 2);
}

TEST_CASE("each key has a bucket of its own") {
  RateLimit limit(1);
  const RateLimit::Clock::time_point start{};
  CHECK(limit.take("a", start).allowed);
  CHECK(limit.take("b", start).allowed);
  CHECK_FALSE(limit.take("a", start).allowed);
}

TEST_CASE("keys that come once do not fill the memory") {
  RateLimit limit(1);
  const RateLimit::Clock::time_point start{};
  for (int i = 0; i < 50'000; ++i) limit.take(std::to_string(i), start + i * 1ms);
  CHECK(limit.size() <= 10'000);
}
