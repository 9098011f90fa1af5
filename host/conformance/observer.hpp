#pragma once

#include <semaphore.h>
#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <thread>

#include "conformance/task.hpp"

namespace sonicorn::conformance {

// Tells the parent what this child does and finds, and notices, from a thread of its own, when the
// app crashes or hangs: both are findings with the place where it happened, and end the process.
// One for a process, never destroyed. Thread-safe.
class Observer {
 public:
  // `answer`: where messages are written to. Takes over the signals of crashes, and needs the
  // handler of core/backtrace.hpp.
  Observer(int answer, unsigned runs);
  Observer(const Observer&) = delete;
  Observer& operator=(const Observer&) = delete;
  ~Observer() = delete;

  // The process begins with `step`, a literal, and should be done after `limit`. `who` runs it; 0:
  // any thread of the app.
  void enter(const char* step, std::chrono::milliseconds limit, pid_t who = 0);
  void set_run(unsigned run) { run_ = run; }
  unsigned run() const { return run_; }

  // What was told before with the same id and message is not told again.
  void report(const Finding& finding);

  // Says that all is done, and ends the process without running anything more of the app.
  [[noreturn]] void end();

  // "in run 3", empty when there is only one.
  std::string which_run() const;

  // Where a thread is, as lines for people.
  static std::vector<std::string> place_of(pid_t thread);

 private:
  using Clock = std::chrono::steady_clock;

  void take_crash_signals();
  static void on_crash(int signal);
  void watch();
  void report_crash();
  void report_hang();
  void write(const Message& message);

  const int answer_;
  const unsigned runs_;
  const pid_t main_;
  std::atomic<unsigned> run_{1};
  std::atomic<const char*> step_{""};
  std::atomic<pid_t> who_{0};
  std::atomic<Clock::rep> limit_{0};
  std::atomic<Clock::rep> deadline_;

  // Filled in by the handler, before the observer is woken.
  std::atomic<int> signal_{0};
  std::atomic<pid_t> crashed_{0};
  sem_t woken_{};
  sem_t told_{};

  std::mutex writing_;
  std::set<std::string> told_before_;
  std::atomic<pid_t> own_{0};
  std::thread thread_;
};

}  // namespace sonicorn::conformance
