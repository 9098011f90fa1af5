#pragma once

#include <sonicorn/capability/background.h>
#include <sys/types.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace sonicorn::app {

// The background threads of one generation, for background/1. Nobody can end a thread that does not
// return: while join_until() has threads left, this object, and the code they run, must stay, if
// need be until the process ends. Thread-safe.
class BackgroundThreads {
 public:
  using OnThread = std::function<void(std::string_view name)>;
  using OnError = std::function<void(std::string_view name, std::string_view what)>;

  // Both are called on the background thread, and must not throw: `on_thread` before its body,
  // `on_error` when an exception left the body, which ends the thread.
  BackgroundThreads(OnThread on_thread, OnError on_error);

  // Requests the stop and waits for all threads, without a limit.
  ~BackgroundThreads();
  BackgroundThreads(const BackgroundThreads&) = delete;
  BackgroundThreads& operator=(const BackgroundThreads&) = delete;

  // Starts a thread that runs `body`; the kernel keeps the first 15 bytes of `name`. False when a
  // stop was requested or the system makes no more threads.
  bool start(std::string name, void (*body)(sonicorn_stop_token* stop, void* argument),
             void* argument);

  // Asks all threads to end; none starts any more.
  void request_stop();

  // Waits for the threads that there are, at most until `deadline`, and says the names of those
  // that still run; a later call waits for them again. Does not itself request the stop.
  std::vector<std::string> join_until(std::chrono::steady_clock::time_point deadline);

  struct Running {
    std::string name;
    pid_t thread;  // the kernel's id
  };
  std::vector<Running> names() const;

  // What the functions of background/1 do: 1 when a stop was requested, else 0; wait() sleeps until
  // then, at most `timeout_ms`.
  static std::int32_t stop_requested(const sonicorn_stop_token* stop);
  static std::int32_t wait(sonicorn_stop_token* stop, std::uint64_t timeout_ms);

 private:
  struct Thread;

  static void* enter(void* thread);
  void run(Thread& thread);
  bool join(Thread& thread, std::chrono::steady_clock::time_point deadline);
  void forget_ended();

  const OnThread on_thread_;
  const OnError on_error_;
  const std::unique_ptr<sonicorn_stop_token> stop_;
  std::mutex joining_;  // who joins; taken before mutex_
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::shared_ptr<Thread>> threads_;  // not joined yet
};

}  // namespace sonicorn::app
