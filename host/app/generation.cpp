#include "app/generation.hpp"

#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "app/guarded_call.hpp"
#include "app/signal_guard.hpp"
#include "app/thread_role.hpp"
#include "core/log.hpp"
#include "core/time.hpp"

// The life of a generation, on its lifecycle thread.
namespace sonicorn::app {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// How many messages of the bus are delivered before other work of the thread has its turn.
constexpr std::size_t kMessagesAtOnce = 256;

std::uint64_t nanoseconds_of(Clock::time_point time) {
  return static_cast<std::uint64_t>(std::chrono::nanoseconds(time.time_since_epoch()).count());
}

constexpr std::string_view kTooLarge = "its state is larger than state/1 allows";

std::string_view view_of(const sonicorn_string& text) {
  return text.data == nullptr ? std::string_view() : std::string_view(text.data, text.size);
}

// What is asked again and again is not in the journal.
bool is_of_journal(std::string_view name) {
  static constexpr std::string_view kSteps[] = {"start", "load_state", "ready",   "reload",
                                                "drain", "save_state", "shutdown"};
  return std::find(std::begin(kSteps), std::end(kSteps), name) != std::end(kSteps);
}

std::string text_for_journal(const Outcome& outcome) {
  if (outcome.result == SONICORN_OK) return "ok";
  const char* const how = outcome.result > 0 ? "declined" : "failed";
  return outcome.error.empty() ? how : fmt::format("{}: {}", how, outcome.error);
}

// Whether on_event has a reason to return it: an app need not care for an event.
bool may_be_of_event(std::int32_t result) {
  return result == SONICORN_OK || result == SONICORN_DECLINED;
}

}  // namespace

// Answers once, whoever comes first: the call that returned, or the watchdog that gave it up.
class Generation::Answer {
 public:
  explicit Answer(Done done) : done_(std::move(done)) {}
  bool is_given() const { return given_.load(); }
  // False when it was answered before.
  bool give(Outcome outcome) {
    if (given_.exchange(true)) return false;
    if (done_) done_(std::move(outcome));
    return true;
  }

 private:
  std::atomic<bool> given_{false};
  Done done_;
};

Generation::Generation(Module module, Traits traits, ServerView::Facts facts, Services& services)
    : traits_(std::move(traits)),
      services_(services),
      server_(std::move(facts), services, *this),
      code_(module.code(), place({})),
      module_(std::move(module)),
      attributes_(module_.attributes()),
      joins_threads_(attributes_.thread_start != nullptr || attributes_.thread_exit != nullptr),
      counts_(std::make_unique<Count[]>(services.io_threads + 1)),
      background_(
          [this](std::string_view) {
            set_thread_role(SONICORN_THREAD_BACKGROUND);
            core::stay_at(place("a background thread"));
          },
          [this](std::string_view name, std::string_view what) {
            core::log::error("app {}: its background thread {} ended: it threw {}", traits_.name,
                             name, what);
          }),
      lifecycle_(traits_.name) {
  lifecycle_.post([this] {
    set_thread_role(SONICORN_THREAD_LIFECYCLE);
    context_ = std::make_unique<CallContext>(SONICORN_SCOPE_APP, SONICORN_THREAD_LIFECYCLE);
    services_.watchdog.watch_requests(*context_, services_.limits.call_time);
  });
  if (attributes_.on_event != nullptr) {
    subscriber_ = std::make_unique<Bus::Subscriber>(
        services_.bus, [this] { lifecycle_.post([this] { deliver_messages(); }); });
  }
}

Generation::~Generation() { close(); }

// What the app can reach of this object stays, for its static destructors, and for code that is
// kept though it was closed.
void Generation::close() {
  if (!ended_) end(Clock::time_point::max());
  // On its thread, where it was made: that may not have happened yet.
  lifecycle_.post([this] { services_.watchdog.forget(*context_); });
  lifecycle_.end();
  module_.close();
}

void Generation::keep_for_good(std::unique_ptr<Generation> generation) {
  static std::mutex mutex;
  static auto* const kept = new std::vector<std::unique_ptr<Generation>>;
  const std::lock_guard lock(mutex);
  kept->push_back(std::move(generation));
}

Unloading Generation::retire(std::unique_ptr<Generation> generation) {
  Services& services = generation->services_;
  const Traits traits = generation->traits_;
  const std::uint64_t event =
      services.begin_event(traits.name, traits.number, traits.build_id, "unload");
  Unloading unloading = unload(std::move(generation), traits, services);
  services.end_event(event, unloading.gone ? "ok" : "pinned: " + unloading.cause);
  return unloading;
}

Unloading Generation::unload(std::unique_ptr<Generation> generation, const Traits& traits,
                             Services& services) {
  const std::filesystem::path file = generation->module_.path();
  const std::vector<core::AddressRange> code = generation->module_.code();
  if (std::string why = reason_to_keep(code, traits.threads_before); !why.empty()) {
    keep_for_good(std::move(generation));
    return {false, std::move(why)};
  }
  // Static destructors of the app run on this thread.
  const core::PlaceHere here({traits.name, traits.build_id, traits.number, "its unloading"});
  const auto begun = Clock::now();
  Watchdog::Call call{.app = traits.name,
                      .attribute = "its unloading",
                      .generation = traits.number,
                      .thread = ::gettid(),
                      .begun = begun,
                      .limit = services.limits.call_time,
                      .policy = traits.overrun,
                      .abandon = {}};
  // They hold the dynamic linker's lock, so nothing can be loaded here any more.
  call.abandon = [&services, stuck = call] {
    if (services.on_stuck) services.on_stuck(stuck);
  };
  const std::uint64_t watched = services.watchdog.watch(std::move(call));
  generation->close();
  if (services.watchdog.unwatch(watched)) {
    core::log::warning("app {}: its unloading returned after {:.1f} s", traits.name,
                       core::seconds(Clock::now() - begun));
  }
  if (!is_loaded(file)) return {true, {}};
  keep_for_good(std::move(generation));
  return {false, traits.pinned_by.empty()
                     ? "thread_local objects of it wait for the end of their threads"
                     : traits.pinned_by};
}

// Runs on the lifecycle thread, and blocks it as long as the app does.
Outcome Generation::run_now(std::string_view name, const Occasion& why, milliseconds limit,
                            std::uint32_t scope, std::string_view event, const Call& call,
                            std::function<void()> abandon) {
  const auto begun = Clock::now();
  if (why.deadline != Clock::time_point()) {
    limit = std::max(milliseconds(1), std::chrono::ceil<milliseconds>(why.deadline - begun));
  }
  note_signals(fmt::format("before {}", name));
  CallContext& context = *context_;
  prepare(context);
  context.scope = scope;
  context.set_event(event);
  context.reason = why.reason;
  context.signal_number = why.signal_number;
  context.deadline_ns = nanoseconds_of(begun + limit);
  context.message = {why.message.data(), why.message.size()};
  const std::uint64_t watched =
      services_.watchdog.watch({.app = traits_.name,
                                .attribute = std::string(name),
                                .generation = traits_.number,
                                .thread = static_cast<pid_t>(context.thread_id),
                                .begun = begun,
                                .limit = limit,
                                .policy = traits_.overrun,
                                .abandon = std::move(abandon)});
  const bool is_told = is_of_journal(name);
  const std::uint64_t told =
      is_told ? services_.begin_event(traits_.name, traits_.number, traits_.build_id, name) : 0;
  const std::int32_t result = [&] {
    const core::PlaceHere here(place(name));
    return guarded(context, [&] { return call(context); });
  }();
  if (services_.watchdog.unwatch(watched)) {
    core::log::warning("app {}: {} returned after {:.1f} s", traits_.name, name,
                       core::seconds(Clock::now() - begun));
  }
  note_signals(fmt::format("in {}", name));
  Outcome outcome{.result = result,
                  .error = result < 0 ? context.take_reason() : context.take_error(),
                  .overdue = false,
                  .called = true};
  if (is_told) services_.end_event(told, text_for_journal(outcome));
  return outcome;
}

// Behind a call that never returns it would wait for ever. The result names it for the watchdog;
// 0: it is waited for, whatever comes.
std::uint64_t Generation::watch_waiting(Attribute attribute, milliseconds limit,
                                        const std::shared_ptr<Answer>& answer) {
  if (traits_.overrun != config::Overrun::abandon) return 0;
  return services_.watchdog.watch(
      {.app = traits_.name,
       .attribute = std::string(name_of(attribute)),
       .generation = traits_.number,
       .begun = Clock::now(),
       .limit = 2 * limit,
       .policy = traits_.overrun,
       .abandon = [answer] { answer->give({.error = {}, .overdue = true, .called = false}); },
       .waits = true});
}

void Generation::run(Attribute attribute, Occasion why, milliseconds limit, Call call, Done done) {
  const auto answer = std::make_shared<Answer>(std::move(done));
  const std::uint64_t waiting = watch_waiting(attribute, limit, answer);
  lifecycle_.post(
      [this, attribute, why = std::move(why), limit, call = std::move(call), answer, waiting]() {
        if (waiting != 0) services_.watchdog.unwatch(waiting);
        if (answer->is_given()) return;
        if (!started_ || ended_) {
          answer->give({});
          return;
        }
        Outcome outcome =
            run_now(name_of(attribute), why, limit, SONICORN_SCOPE_APP, name_of(attribute), call,
                    [answer] { answer->give({.error = {}, .overdue = true, .called = true}); });
        answer->give(std::move(outcome));
      });
}

void Generation::start(Done done) {
  lifecycle_.post([this, done = std::move(done)]() mutable {
    if (attributes_.start == nullptr) {
      started_ = true;
      return done({});
    }
    const auto answer = std::make_shared<Answer>(std::move(done));
    Outcome outcome = run_now(
        "start", {}, services_.limits.start_time, SONICORN_SCOPE_APP, "start",
        [this](CallContext& context) { return attributes_.start(&context, &state_); },
        [this, answer] {
          stuck_ = true;
          answer->give({.error = {}, .overdue = true, .called = true});
        });
    stuck_ = false;
    // Also when nobody waits any more: who has started is shut down.
    started_ = outcome.result == SONICORN_OK;
    if (!started_) end(Clock::now() + services_.limits.call_time);
    answer->give(std::move(outcome));
  });
}

std::uint64_t Generation::requests() const {
  std::uint64_t all = 0;
  for (unsigned i = 0; i <= services_.io_threads; ++i) {
    all += counts_[i].requests.load(std::memory_order_relaxed);
  }
  return all;
}

void Generation::health(Done done) {
  if (attributes_.health == nullptr) return done({});
  run(
      Attribute::health, {}, services_.limits.health_time,
      [this](CallContext& context) { return attributes_.health(&context, state_); },
      std::move(done));
}

void Generation::ready(Occasion why, Done done) {
  if (attributes_.ready == nullptr) return done({});
  run(
      Attribute::ready, std::move(why), services_.limits.call_time,
      [this](CallContext& context) { return attributes_.ready(&context, state_); },
      std::move(done));
}

void Generation::reload(std::uint32_t phase, Occasion why, Done done) {
  if (attributes_.reload == nullptr) return done({});
  run(
      Attribute::reload, std::move(why), services_.limits.call_time,
      [this, phase](CallContext& context) { return attributes_.reload(&context, state_, phase); },
      std::move(done));
}

void Generation::load_state(SavedState saved, Done done) {
  if (attributes_.load_state == nullptr) return done({});
  run(
      Attribute::load_state, {}, services_.limits.call_time,
      [this, saved = std::move(saved)](CallContext& context) {
        sonicorn_blob blob{};
        blob.size = sizeof(blob);
        blob.schema = {saved.schema.data(), saved.schema.size()};
        blob.bytes = {saved.bytes.data(), saved.bytes.size()};
        return attributes_.load_state(&context, state_, &blob);
      },
      std::move(done));
}

void Generation::save_state(std::function<void(Outcome, std::optional<SavedState>)> done) {
  if (attributes_.save_state == nullptr) return done({}, std::nullopt);
  const auto saved = std::make_shared<std::optional<SavedState>>();
  run(
      Attribute::save_state, {}, services_.limits.call_time,
      [this, saved](CallContext& context) {
        sonicorn_blob blob{};
        blob.size = sizeof(blob);
        std::int32_t result = attributes_.save_state(&context, state_, &blob);
        if (result == SONICORN_OK && blob.bytes.size > kLargestState) {
          context.set_error(&context, kTooLarge.data(), kTooLarge.size());
          result = SONICORN_ERROR;
        } else if (result == SONICORN_OK) {
          saved->emplace(
              SavedState{std::string(view_of(blob.schema)), std::string(view_of(blob.bytes))});
        }
        if (blob.release != nullptr) blob.release(blob.release_argument);
        return result;
      },
      [saved, done = std::move(done)](const Outcome& outcome) {
        // Who gave up on the call must not read what it may still write.
        done(outcome, outcome.ok() ? std::move(*saved) : std::nullopt);
      });
}

void Generation::on_event(std::uint32_t scope, std::string action, Occasion why) {
  if (attributes_.on_event == nullptr) return;
  lifecycle_.post([this, scope, action = std::move(action), why = std::move(why)] {
    if (!started_ || ended_) return;
    const Outcome outcome = run_now(
        "on_event", why, services_.limits.call_time, scope, action,
        [this](CallContext& context) { return attributes_.on_event(&context, state_); }, nullptr);
    if (!may_be_of_event(outcome.result)) {
      core::log::error("app {}: on_event ({}) failed ({}, generation {}): {}", traits_.name, action,
                       outcome.result, traits_.number, or_no_text(outcome.error));
    }
  });
}

void Generation::describe(std::function<void(Outcome, std::string)> done) {
  if (attributes_.describe == nullptr) return done({}, {});
  const auto text = std::make_shared<std::string>();
  run(
      Attribute::describe, {}, services_.limits.call_time,
      [this, text](CallContext& context) {
        sonicorn_blob blob{};
        blob.size = sizeof(blob);
        const std::int32_t result = attributes_.describe(&context, state_, &blob);
        if (result == SONICORN_OK && blob.bytes.data != nullptr) {
          text->assign(blob.bytes.data, blob.bytes.size);
        }
        if (blob.release != nullptr) blob.release(blob.release_argument);
        return result;
      },
      [text, done = std::move(done)](Outcome outcome) {
        // Who gave up on the call must not read what it may still write.
        done(outcome, outcome.ok() ? *text : std::string());
      });
}

void Generation::drain(Occasion why, Done called, std::function<void()> finished) {
  if (attributes_.drain == nullptr) {
    called({});
    return finished();
  }
  {
    std::unique_lock lock(drain_mutex_);
    if (drain_ != Drain::none) {
      // It was asked before, for itself alone.
      const bool is_done = drain_ == Drain::finished;
      if (!is_done) {
        drained_ = [before = std::move(drained_), finished] {
          if (before) before();
          finished();
        };
      }
      lock.unlock();
      called({});
      if (is_done) finished();
      return;
    }
    drain_ = Drain::called;
    drained_ = std::move(finished);
  }
  run(
      Attribute::drain, std::move(why), services_.limits.call_time,
      [this](CallContext& context) { return attributes_.drain(&context, state_); },
      [this, called = std::move(called)](Outcome outcome) {
        std::function<void()> done;
        {
          const std::lock_guard lock(drain_mutex_);
          const bool later = outcome.result > 0 && !outcome.overdue && !drain_done_early_;
          drain_ = later ? Drain::declined : Drain::finished;
          if (!later) done = std::exchange(drained_, nullptr);
        }
        called(std::move(outcome));
        if (done) done();
      });
}

void Generation::drain_finished() {
  std::function<void()> done;
  {
    const std::lock_guard lock(drain_mutex_);
    if (drain_ == Drain::called) drain_done_early_ = true;
    if (drain_ != Drain::declined) return;
    drain_ = Drain::finished;
    done = std::exchange(drained_, nullptr);
  }
  if (done) done();
}

// No code of the app runs after this but its shutdown: timers, messages and threads end here.
void Generation::end(Clock::time_point deadline) {
  ended_ = true;
  lifecycle_.stop_timers();
  if (subscriber_ != nullptr) subscriber_->close();
  background_.request_stop();
  const std::vector<std::string> left = background_.join_until(deadline);
  for (const std::string& name : left) {
    core::log::error(
        "app {}: its background thread {} did not end after it was asked to; it should return "
        "when stop_requested() or wait() say so",
        traits_.name, name);
  }
  if (!left.empty()) stuck_ = true;
}

void Generation::shutdown(Occasion why, Done done) {
  lifecycle_.post([this, why = std::move(why), done = std::move(done)] {
    if (ended_) return done({});
    end(why.deadline);
    if (!started_ || attributes_.shutdown == nullptr) return done({});
    if (stuck_) {
      // Its state is still in use, and shutdown is what ends that state.
      core::log::error("app {}: its shutdown is not called, for a thread of it still runs",
                       traits_.name);
      return done({.error = {}, .overdue = true, .called = false});
    }
    // Also when joining threads has taken all the time.
    Occasion last = why;
    last.deadline = std::max(why.deadline, Clock::now() + kLeastShutdown);
    const auto answer = std::make_shared<Answer>(done);
    Outcome outcome = run_now(
        "shutdown", last, milliseconds(0), SONICORN_SCOPE_APP, "shutdown",
        [this](CallContext& context) { return attributes_.shutdown(&context, state_); },
        [this, answer] {
          stuck_ = true;
          answer->give({.error = {}, .overdue = true, .called = true});
        });
    stuck_ = false;
    if (outcome.result != SONICORN_OK) {
      core::log::error("app {}: shutdown {} ({}, generation {}): {}", traits_.name,
                       outcome.result > 0 ? "declined" : "failed", outcome.result, traits_.number,
                       or_no_text(outcome.error));
    }
    answer->give(std::move(outcome));
  });
}

void Generation::note_signals(std::string_view when) const {
  for (const Intrusion& intrusion : put_signals_right()) {
    core::log::error(
        "app {}: {} it {}; that was undone, for the signal is the server's: what an app wants to "
        "know of it, its attributes shutdown, drain and reload are told",
        traits_.name, when, app::describe(intrusion));
  }
}

std::uint64_t Generation::start_timer(milliseconds delay, milliseconds period,
                                      void (*callback)(void*), void* argument) {
  return lifecycle_.start_timer(delay, period, [this, callback, argument] {
    if (ended_) return;
    const Outcome outcome = run_now(
        "the callback of a timer", {}, services_.limits.call_time, SONICORN_SCOPE_APP, "timer",
        [callback, argument](CallContext&) {
          callback(argument);
          return SONICORN_OK;
        },
        nullptr);
    if (!outcome.ok()) {
      core::log::error("app {}: the callback of a timer failed (generation {}): {}", traits_.name,
                       traits_.number, outcome.error);
    }
  });
}

void Generation::cancel_timer(std::uint64_t timer) { lifecycle_.cancel_timer(timer); }

bool Generation::start_background(std::string name, void (*body)(sonicorn_stop_token*, void*),
                                  void* argument) {
  return background_.start(std::move(name), body, argument);
}

std::int32_t Generation::subscribe(std::string_view topic, bool on) {
  if (subscriber_ == nullptr) {
    core::log::warning("app {}: it subscribes to {} and declares no on_event to be told by",
                       traits_.name, topic);
    return SONICORN_ERROR;
  }
  return on ? subscriber_->subscribe(topic) : subscriber_->unsubscribe(topic);
}

// Messages may be many, so what a lifecycle call costs is paid once for all that wait.
void Generation::deliver_messages() {
  if (!started_ || ended_) return;
  messages_.clear();
  const std::size_t count = subscriber_->take(messages_, kMessagesAtOnce);
  if (count == 0) return;
  note_signals("before on_event");
  CallContext& context = *context_;
  prepare(context);
  context.scope = SONICORN_SCOPE_BUS;
  context.reason = SONICORN_REASON_NONE;
  context.signal_number = 0;
  std::size_t failures = 0;
  std::string error;
  for (const Bus::Message& message : messages_) {
    const RunningCall running(context, *this, Attribute::on_event);
    context.forget_error();
    context.set_event(message.topic());
    context.message = {message.json().data(), message.json().size()};
    context.deadline_ns = nanoseconds_of(Clock::now() + services_.limits.call_time);
    if (may_be_of_event(guarded(context, [&] { return attributes_.on_event(&context, state_); }))) {
      continue;
    }
    ++failures;
    error = context.take_error();
  }
  messages_.clear();
  note_signals("in on_event");
  if (failures > 0) {
    core::log::error(
        "app {}: on_event failed for {} of {} messages of the bus (generation {}); the last: {}",
        traits_.name, failures, count, traits_.number, or_no_text(error));
  }
  if (count == kMessagesAtOnce) lifecycle_.post([this] { deliver_messages(); });
}

}  // namespace sonicorn::app
