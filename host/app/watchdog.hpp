#pragma once

#include <sys/types.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "app/attributes.hpp"
#include "config/config.hpp"

namespace sonicorn::app {

class CallContext;
class Generation;

// Notices calls into apps that outlive their time limit: each is logged once, with the app, the
// attribute, how long, and the native backtrace of its thread, and then dealt with as the app's
// policy says. Has a thread of its own. Thread-safe.
class Watchdog {
 public:
  using Clock = std::chrono::steady_clock;

  struct Call {
    std::string app;
    std::string attribute;
    std::uint64_t generation = 1;
    pid_t thread = 0;  // kernel id
    Clock::time_point begun;
    std::chrono::milliseconds limit{0};
    config::Overrun policy = config::Overrun::abandon;
    // Called on the watchdog's thread where the policy is to abandon the call: nobody waits for it
    // any more.
    std::function<void()> abandon;
    // It has not begun, and waits for a call that is told of by itself: nothing is logged.
    bool waits = false;
  };

  Watchdog();
  ~Watchdog();
  Watchdog(const Watchdog&) = delete;
  Watchdog& operator=(const Watchdog&) = delete;

  // `tell` is called, on the watchdog's thread, with a call whose policy is to end the process,
  // before that ends. To be set before the first call is watched.
  void before_killing(std::function<void(const Call&)> tell) { before_killing_ = std::move(tell); }

  // Watches one call that begins now. The result names it; unwatch() ends that, and says whether
  // the call was found overdue. After unwatch() returned, `abandon` is not running.
  std::uint64_t watch(Call call);
  bool unwatch(std::uint64_t id);

  // Watches all calls that requests make on the thread of `context` (CallContext::running), which
  // stays until forget(). Sampled, so an overrun is told up to a quarter of a second late.
  // Where the thread serves others, too, `stuck` says when it is lost to them, and how many threads
  // of its kind may be: one that is in a serial app is lost to all who want that app, so none.
  struct Stuck {
    std::string_view kind;                  // "an I/O thread"; texts outlive the watchdog
    std::string_view remedy;                // a sentence for the log, if there is one
    std::chrono::milliseconds limit{0};     // 0: never
    std::size_t borne = 0;                  // no more of the kind's threads are told as stuck
    std::function<void(const Call&)> tell;  // once a call, on the watchdog's thread
  };
  void watch_requests(const CallContext& context, std::chrono::milliseconds limit, Stuck stuck);
  void watch_requests(const CallContext& context, std::chrono::milliseconds limit) {
    watch_requests(context, limit, Stuck{});
  }
  void forget(const CallContext& context);

  // Returns when the watchdog looks at no generation that no call is in any more.
  void settle() { const std::lock_guard lock(mutex_); }

 private:
  struct Sampled {
    struct Call {
      const Generation* generation = nullptr;
      Attribute attribute = Attribute::on_request;
      std::uint32_t request = 0;
      bool operator==(const Call&) const = default;
    };
    const CallContext* context;
    std::chrono::milliseconds limit;
    Stuck stuck;
    Call call = {};  // the one seen last
    bool told = false;
    bool told_stuck = false;
    Clock::time_point since;
  };

  struct StuckCall {
    Call call;
    Stuck stuck;
    bool placed;  // its overrun was told, with the backtrace, at the same time
  };

  void run();
  void tell(const Call& call, Clock::time_point now);
  static void tell_place(const Call& call);
  static void tell_stuck(const StuckCall& each, Clock::time_point now);
  bool is_borne(const Stuck& stuck) const;
  void sample(Sampled& each, Clock::time_point now, std::vector<Call>& overdue,
              std::vector<StuckCall>& stuck);
  Clock::time_point next_look(Clock::time_point now) const;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::condition_variable told_;
  std::map<std::uint64_t, Call> calls_;
  std::map<std::uint64_t, bool> overdue_;  // told, and not yet returned
  std::vector<Sampled> sampled_;
  std::uint64_t next_id_ = 1;
  std::uint64_t telling_ = 0;  // whose overrun is being told, outside the lock
  bool ending_ = false;
  std::function<void(const Call&)> before_killing_;
  std::thread thread_;
};

}  // namespace sonicorn::app
