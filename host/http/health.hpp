#pragma once

#include <mutex>
#include <string>
#include <utility>

namespace sonicorn::http {

// How the server is, as its workers are told: what they answer below the path that is set for it.
// Thread-safe.
class Health {
 public:
  static Health& of_process() {
    static auto* const instance = new Health();
    return *instance;
  }

  // Why it is not ready; empty: it is.
  void set(std::string why_not) {
    const std::lock_guard lock(mutex_);
    why_not_ = std::move(why_not);
  }
  std::string why_not() const {
    const std::lock_guard lock(mutex_);
    return why_not_;
  }

 private:
  mutable std::mutex mutex_;
  std::string why_not_ = "the server is starting";
};

}  // namespace sonicorn::http
