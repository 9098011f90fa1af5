#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <queue>
#include <set>
#include <string>
#include <thread>
#include <utility>

namespace sonicorn::app {

// The one thread on which a generation is started, told of events, and shut down. Tasks run in the
// order given; timers that are due take turns with them, so that neither holds up the other.
// Thread-safe.
class LifecycleThread {
 public:
  // `name` is what ps and a debugger show; the kernel keeps its first 15 bytes.
  explicit LifecycleThread(std::string name);
  // Ends it.
  ~LifecycleThread();
  LifecycleThread(const LifecycleThread&) = delete;
  LifecycleThread& operator=(const LifecycleThread&) = delete;

  // Queues a task, which must not throw. Once the thread has ended it is dropped.
  void post(std::function<void()> task);

  // Runs `task`, which must not throw, after `delay`, then every `period`, or once where that is 0.
  // A periodic timer that is late goes on from then, and what it missed is not made up for. Times
  // are of the monotonic clock; beyond 100 years, or negative as what was too large to be counted
  // in milliseconds becomes, they are 100 years. The result names the timer and is never 0; 0 when
  // timers were stopped or 10,000 exist.
  std::uint64_t start_timer(std::chrono::milliseconds delay, std::chrono::milliseconds period,
                            std::function<void()> task);

  // Ends a timer; one that does not exist is ignored. On this thread itself, also from within the
  // task, it does not run again; elsewhere one run may be under way.
  void cancel_timer(std::uint64_t timer);

  // Ends all timers, now and for ever; else as cancel_timer().
  void stop_timers();

  // Lets the queued tasks finish and joins the thread; timers no longer run. For one thread at a
  // time, which is not this one; a second time changes nothing.
  void end();

 private:
  using Clock = std::chrono::steady_clock;
  using Due = std::pair<Clock::time_point, std::uint64_t>;

  struct Timer {
    Clock::time_point at;
    std::chrono::milliseconds period;
    std::function<void()> task;  // empty while it runs
  };

  void run();
  void run_task(std::unique_lock<std::mutex>& lock);
  void run_timer(std::unique_lock<std::mutex>& lock);
  bool timer_is_due() const;

  std::string name_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::queue<std::function<void()>> tasks_;
  std::map<std::uint64_t, Timer> timers_;
  std::set<Due> due_;  // of all timers but the one that runs
  std::uint64_t last_timer_ = 0;
  bool timers_stopped_ = false;
  bool ending_ = false;
  bool ended_ = false;  // nobody takes tasks any more
  std::thread thread_;
};

}  // namespace sonicorn::app
