#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

// A token bucket for each key: so many calls a minute, all of them at once if need be, then one
// after the other as the bucket fills again. Any number of threads may use it at once.
class RateLimit {
 public:
  using Clock = std::chrono::steady_clock;

  struct Verdict {
    bool allowed = false;
    unsigned remaining = 0;              // calls that would be allowed now
    std::chrono::seconds retry_after{};  // when not allowed: until the next would be, at least 1
  };

  // REQUIRES: 0 < per_minute <= 1,000,000.
  explicit RateLimit(unsigned per_minute);

  // One call by `key`.
  Verdict take(std::string_view key, Clock::time_point now);

  // For how many keys there is a bucket.
  std::size_t size() const;

 private:
  void forget_full(Clock::time_point now);

  const std::chrono::nanoseconds cost_;  // in which one call flows in
  mutable std::mutex mutex_;
  std::map<std::string, Clock::time_point, std::less<>> full_at_;  // when the bucket is full again
};
