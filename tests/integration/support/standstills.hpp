#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

namespace support {

// Notes, from when it is made, at what times the machine stood still: a thread that was due did not
// run. Whoever measures how long the server takes subtracts them, for they are not the server's.
// Thread-safe.
class Standstills {
 public:
  using Clock = std::chrono::steady_clock;

  Standstills();
  ~Standstills();
  Standstills(const Standstills&) = delete;
  Standstills& operator=(const Standstills&) = delete;

  // How long it stood still between `begin` and now.
  Clock::duration since(Clock::time_point begin) const;

  // How long something took that began then and ends now, without them.
  Clock::duration took(Clock::time_point begin) const;

 private:
  struct Span {
    Clock::time_point begin, end;
  };

  void watch();

  mutable std::mutex mutex_;
  std::condition_variable ending_changed_;
  bool ending_ = false;
  Clock::time_point seen_ = Clock::now();  // when the thread ran last
  std::vector<Span> noted_;
  std::thread thread_;
};

}  // namespace support
