#pragma once

#include <sonicorn/attributes.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "app/background.hpp"
#include "app/bus.hpp"
#include "app/call_context.hpp"
#include "app/guarded_call.hpp"
#include "app/lifecycle_thread.hpp"
#include "app/module.hpp"
#include "app/server_view.hpp"
#include "app/services.hpp"
#include "app/unloading.hpp"
#include "config/config.hpp"
#include "core/place.hpp"

namespace sonicorn::app {

// What shutdown gets at least, also when requests in flight used up the grace.
inline constexpr std::chrono::milliseconds kLeastShutdown{1'000};

// Why something happens to an app, as the context of the call tells it.
struct Occasion {
  std::uint32_t reason = SONICORN_REASON_NONE;  // SONICORN_REASON_...
  int signal_number = 0;
  std::chrono::steady_clock::time_point deadline;  // the clock's epoch: the server's usual limit
  std::string message;
};

// How a lifecycle call went.
struct Outcome {
  std::int32_t result = SONICORN_OK;  // of the attribute; OK where the app declares none
  std::string error;                  // the app's text, when result is below 0
  bool overdue = false;               // it was not waited for: it had not returned by its deadline
  bool called = false;                // false: the app does not declare it, or has ended

  bool ok() const { return result == SONICORN_OK && !overdue; }
};

// What a generation leaves to the next one of its app (save_state).
struct SavedState {
  std::string schema;  // the id of its format, "counter/1"
  std::string bytes;
};

// One loaded build of one app: its code, its lifecycle thread, its background threads, and the
// state that its start returned. Lifecycle calls are queued, run one after the other on the
// lifecycle thread, and answer there through `done`; one that is given up answers on the watchdog's
// thread. Request calls may come from many threads at once, unless the manifest says serial. All
// methods are thread-safe, start, drain and shutdown for their one caller.
class Generation final : private AppServices {
 public:
  struct Traits {
    std::string name;
    std::uint64_t number = 1;
    bool blocking = true;  // handlers run on the pool
    bool serial = false;   // never two calls at once
    config::Overrun overrun = config::Overrun::abandon;
    std::string build_id = {};         // of the code; empty when it has none
    std::string pinned_by = {};        // why the code cannot be unloaded, as its file tells
    ThreadBirths threads_before = {};  // of the process, before the code was loaded
  };
  using Done = std::function<void(Outcome)>;

  // `services` outlives the generation.
  Generation(Module module, Traits traits, ServerView::Facts facts, Services& services);
  // Joins the lifecycle thread and closes the code; where that may stay loaded, retire() is the
  // way. REQUIRES: no call under way, not is_stuck(), and it was shut down or never started.
  ~Generation();
  // The same, and says what became of the code, which is not closed where that would be a crash.
  // Where it stays, the generation does, for good: its code may still ask the server. Runs static
  // destructors of the app, which may take their time. REQUIRES as above.
  static Unloading retire(std::unique_ptr<Generation> generation);
  Generation(const Generation&) = delete;
  Generation& operator=(const Generation&) = delete;

  // Once, before all others. An app without start has started.
  void start(Done done);
  void health(Done done);
  void ready(Occasion why, Done done);
  // Tells the app of a reload; `phase` is SONICORN_RELOAD_... With new settings for the same code
  // `why.message` holds them.
  void reload(std::uint32_t phase, Occasion why, Done done);
  // Gives the app what the generation before it saved: after start, before health.
  void load_state(SavedState saved, Done done);
  // Asks the app for its state, after its last request call returned. Without an error and without
  // a state there is nothing to keep.
  void save_state(std::function<void(Outcome, std::optional<SavedState>)> done);
  // A message of `scope` (SONICORN_SCOPE_...) named `action`.
  void on_event(std::uint32_t scope, std::string action, Occasion why);
  // The app's JSON, which is empty when it declares none or failed.
  void describe(std::function<void(Outcome, std::string)> done);

  // `called`: the attribute returned. `finished`: the app is done with draining, maybe later; both
  // are called once, `finished` not before `called`.
  void drain(Occasion why, Done called, std::function<void()> finished);

  // Ends the generation: no timer and no message of the bus any more, background threads are
  // stopped and joined, then the app's shutdown is called, if its start returned OK. Once, after
  // the last request call returned. `why.deadline` is for all of it.
  void shutdown(Occasion why, Done done);

  const std::string& name() const { return traits_.name; }
  const Traits& traits() const { return traits_; }
  // Where a thread is that runs `what` of it; valid as long as the generation. Async-signal-safe.
  core::Place place(std::string_view what) const {
    return {traits_.name, traits_.build_id, traits_.number, what};
  }
  const AttributeTable& attributes() const { return attributes_; }
  bool handles_requests() const { return attributes_.on_request != nullptr; }
  bool filters_requests() const {
    return attributes_.pre_request != nullptr || attributes_.post_request != nullptr;
  }

  // Whether threads of the app, or a call on its lifecycle thread, may still run its code though it
  // was shut down: then it must stay loaded until the process ends.
  bool is_stuck() const { return stuck_.load(); }
  // Whether shutdown() got its turn on the lifecycle thread, or the call before never returned.
  bool has_ended() const { return ended_.load(std::memory_order_acquire); }

  // The request calls run on this thread; `context` is this thread's. An exception that leaves the
  // app is an error with its text. The attribute must be declared.
  std::int32_t on_request(CallContext& context, const sonicorn_request& request,
                          sonicorn_response& response) {
    count_request(context);
    return on_request_thread(
        context, [&] { return attributes_.on_request(&context, state_, &request, &response); });
  }
  std::int32_t pre_request(CallContext& context, const sonicorn_request& request,
                           sonicorn_response& response, void** exchange) {
    return on_request_thread(context, [&] {
      return attributes_.pre_request(&context, state_, &request, &response, exchange);
    });
  }
  std::int32_t post_request(CallContext& context, const sonicorn_request& request,
                            const sonicorn_outcome& outcome, void* exchange) {
    return on_request_thread(context, [&] {
      return attributes_.post_request(&context, state_, &request, &outcome, exchange);
    });
  }
  std::int32_t on_disconnect(CallContext& context, const sonicorn_request& request) {
    return on_request_thread(context,
                             [&] { return attributes_.on_disconnect(&context, state_, &request); });
  }

  // Tells the app of the calling thread, once each (thread_start); false: the app does not want its
  // handlers on it. leave_thread() is the end of that, for all generations that were told.
  bool join_thread(CallContext& context) {
    return !joins_threads_ || joined(context) == Joined::accepted || join_now(context);
  }
  static void leave_thread(CallContext& context);
  // The same for this generation alone.
  void leave(CallContext& context);
  // Whether the app declares thread_start or thread_exit.
  bool joins_threads() const { return joins_threads_; }
  // Whether the app has refused the thread of `context`, and how many threads of the pool.
  bool refuses(const CallContext& context) const {
    return joins_threads_ && joined(context) == Joined::refused;
  }
  unsigned refused_threads() const { return refused_threads_.load(std::memory_order_relaxed); }

  // Calls of on_request so far, and those whose answer was an error of the app. Thread-safe.
  std::uint64_t requests() const;
  std::uint64_t errors() const { return errors_.load(std::memory_order_relaxed); }
  void count_error() { errors_.fetch_add(1, std::memory_order_relaxed); }

  // Calls under way on the pool, also those whose client was given up. Thread-safe.
  std::uint32_t pool_calls() const { return pool_calls_.load(std::memory_order_acquire); }
  void enter_pool_call() { pool_calls_.fetch_add(1, std::memory_order_relaxed); }
  void leave_pool_call() { pool_calls_.fetch_sub(1, std::memory_order_release); }

 private:
  static Unloading unload(std::unique_ptr<Generation> generation, const Traits& traits,
                          Services& services);
  static void keep_for_good(std::unique_ptr<Generation> generation);
  void close();
  enum class Joined { no, accepted, refused };
  // Each I/O thread counts its own requests, the others theirs together.
  struct alignas(64) Count {
    std::atomic<std::uint64_t> requests{0};
  };
  using Call = std::function<std::int32_t(CallContext&)>;
  class Answer;

  std::uint64_t watch_waiting(Attribute attribute, std::chrono::milliseconds limit,
                              const std::shared_ptr<Answer>& answer);
  void run(Attribute attribute, Occasion why, std::chrono::milliseconds limit, Call call,
           Done done);
  Outcome run_now(std::string_view name, const Occasion& why, std::chrono::milliseconds limit,
                  std::uint32_t scope, std::string_view event, const Call& call,
                  std::function<void()> abandon);
  void end(std::chrono::steady_clock::time_point deadline);
  void deliver_messages();
  void note_signals(std::string_view when) const;

  void exit_thread(CallContext& context);
  Joined joined(const CallContext& context) const;
  bool join_now(CallContext& context);
  template <class RequestCall>
  std::int32_t on_request_thread(CallContext& context, const RequestCall& call) {
    prepare(context);
    if (!traits_.serial) return guarded(context, call);
    const std::lock_guard lock(serial_);
    return guarded(context, call);
  }
  void count_request(const CallContext& context) {
    std::atomic<std::uint64_t>& requests = counts_[context.counted_as].requests;
    if (context.counted_as == 0) {
      requests.fetch_add(1, std::memory_order_relaxed);
    } else {
      requests.store(requests.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    }
  }
  void prepare(CallContext& context) const {
    context.server = server_.abi();
    context.generation = traits_.number;
    context.forget_error();
  }

  std::uint64_t start_timer(std::chrono::milliseconds delay, std::chrono::milliseconds period,
                            void (*callback)(void*), void* argument) override;
  void cancel_timer(std::uint64_t timer) override;
  bool start_background(std::string name, void (*body)(sonicorn_stop_token*, void*),
                        void* argument) override;
  std::int32_t subscribe(std::string_view topic, bool on) override;
  void drain_finished() override;

  Traits traits_;
  Services& services_;
  ServerView server_;
  core::CodeOfApp code_;
  Module module_;
  AttributeTable attributes_;
  bool joins_threads_;
  void* state_ = nullptr;
  std::mutex serial_;
  std::atomic<std::uint32_t> pool_calls_{0};
  std::atomic<unsigned> refused_threads_{0};
  std::unique_ptr<Count[]> counts_;  // CallContext::counted_as is the place
  std::atomic<std::uint64_t> errors_{0};
  std::atomic<bool> stuck_{false};
  std::atomic<bool> ended_{false};

  // Of the lifecycle thread.
  std::unique_ptr<CallContext> context_;
  bool started_ = false;
  std::vector<Bus::Message> messages_;

  std::mutex drain_mutex_;
  enum class Drain { none, called, declined, finished } drain_ = Drain::none;
  bool drain_done_early_ = false;  // the app said so before the call returned
  std::function<void()> drained_;

  BackgroundThreads background_;
  LifecycleThread lifecycle_;
  std::unique_ptr<Bus::Subscriber> subscriber_;  // ends before the thread it wakes
};

}  // namespace sonicorn::app
