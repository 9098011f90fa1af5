#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <set>
#include <string>

#include "config/config.hpp"

namespace sonicorn::supervisor {

// Which apps are given no more chances, for they ended workers too often.
class Quarantine {
 public:
  using Clock = std::chrono::steady_clock;

  explicit Quarantine(const config::Workers& limits) { set_limits(limits); }

  void set_limits(const config::Workers& limits) {
    most_ = limits.crashes;
    within_ = limits.crash_time;
  }

  // For that long nobody could end anything, so it is no part of the time between two deaths.
  void leave_out(Clock::duration idle) { left_out_ += idle; }

  // `app` has ended a worker. True when that is what puts it into quarantine.
  bool note(const std::string& app, Clock::time_point now) {
    ++totals_[app];
    now -= left_out_;
    std::deque<Clock::time_point>& deaths = deaths_[app];
    deaths.push_back(now);
    while (!deaths.empty() && now - deaths.front() > within_) deaths.pop_front();
    return deaths.size() > most_ && names_.insert(app).second;
  }

  // Puts it there at once, as one death more.
  void confine(const std::string& app) {
    ++totals_[app];
    names_.insert(app);
  }

  // It has had its other chance.
  void confine_again(const std::string& app) { names_.insert(app); }

  // Gives it another chance. False when it is not in quarantine.
  bool release(const std::string& app) {
    deaths_.erase(app);
    return names_.erase(app) != 0;
  }

  const std::set<std::string>& names() const { return names_; }
  // How often each app has ended a worker, ever.
  const std::map<std::string, std::uint64_t>& totals() const { return totals_; }

 private:
  std::size_t most_ = 0;
  std::chrono::milliseconds within_{0};
  Clock::duration left_out_{};
  std::map<std::string, std::deque<Clock::time_point>> deaths_;
  std::map<std::string, std::uint64_t> totals_;
  std::set<std::string> names_;
};

}  // namespace sonicorn::supervisor
