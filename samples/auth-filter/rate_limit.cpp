#include "rate_limit.hpp"

#include <algorithm>

namespace {

// So that clients that come once from many addresses do not fill the memory.
constexpr std::size_t kMostBuckets = 10'000;

constexpr std::chrono::minutes kMinute(1);

}  // namespace

RateLimit::RateLimit(unsigned per_minute)
    : cost_(std::chrono::duration_cast<std::chrono::nanoseconds>(kMinute) / per_minute) {}

RateLimit::Verdict RateLimit::take(std::string_view key, Clock::time_point now) {
  const std::lock_guard lock(mutex_);
  auto found = full_at_.find(key);
  if (found == full_at_.end()) {
    if (full_at_.size() >= kMostBuckets) forget_full(now);
    found = full_at_.emplace(key, now).first;
  }
  const Clock::time_point full_at = std::max(found->second, now);
  const std::chrono::nanoseconds missing = full_at - now + cost_;
  if (missing > kMinute) {
    return {false, 0, std::chrono::ceil<std::chrono::seconds>(missing - kMinute)};
  }
  found->second = full_at + cost_;
  return {true, static_cast<unsigned>((kMinute - missing) / cost_), {}};
}

std::size_t RateLimit::size() const {
  const std::lock_guard lock(mutex_);
  return full_at_.size();
}

// A bucket that nobody took from for a minute is as good as a new one. Where that frees nothing,
// all begin anew: the memory is worth more than a minute of the limit.
void RateLimit::forget_full(Clock::time_point now) {
  std::erase_if(full_at_, [now](const auto& entry) { return entry.second <= now; });
  if (full_at_.size() >= kMostBuckets) full_at_.clear();
}
