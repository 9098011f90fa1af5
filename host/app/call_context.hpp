#pragma once

#include <sonicorn/context.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "app/attributes.hpp"

namespace sonicorn::app {

class Generation;

// What an app said of its error, or that it said nothing.
std::string or_no_text(std::string text);

// The context of calls on one thread, with a place for the text that an app gives to its error.
// Should the thread crash, the report tells what `running` shows in the newest context of it. Set
// up once per thread and reused: only what differs from call to call is written again. Belongs to
// its thread and does not move while a call is under way.
class CallContext : public sonicorn_context {
 public:
  // `scope`, `thread_role`: SONICORN_SCOPE_..., SONICORN_THREAD_...; the thread is the calling one.
  CallContext(std::uint32_t scope, std::uint32_t thread_role);
  ~CallContext();
  CallContext(const CallContext&) = delete;
  CallContext& operator=(const CallContext&) = delete;

  // What a request makes this thread run now, for other threads to look at. Two calls of one
  // request differ in generation or attribute.
  struct Running {
    std::atomic<Generation*> generation{nullptr};  // null: no code of an app
    std::atomic<std::uint32_t> requests{0};        // changes with every request
    std::atomic<Attribute> attribute{Attribute::on_request};

    void count() {
      requests.store(requests.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    }
  };
  Running running;

  // Where a generation counts the requests of this thread: 0 together with others, N: the Nth I/O
  // thread's own place.
  std::uint32_t counted_as = 0;

  // Names the attribute that is about to be called; `name` is a literal or outlives the call.
  void set_event(std::string_view name) { event = {name.data(), name.size()}; }

  // Shows other threads that this one calls `attribute` of `generation` now, and names it.
  void begin_call(Generation& callee, Attribute attribute) {
    set_event(name_of(attribute));
    running.attribute.store(attribute, std::memory_order_relaxed);
    running.generation.store(&callee, std::memory_order_release);
  }
  void end_calls() {
    set_event(name_of(Attribute::on_request));
    running.attribute.store(Attribute::on_request, std::memory_order_relaxed);
    running.generation.store(nullptr, std::memory_order_release);
  }
  // What begin_call() says is over when it goes out of scope: the thread is between two requests.
  class Calls {
   public:
    // `counted`: the request is the one that called before.
    explicit Calls(CallContext& context, bool counted = false) : context_(context) {
      if (!counted) context.running.count();
    }
    ~Calls() { context_.end_calls(); }
    Calls(const Calls&) = delete;
    Calls& operator=(const Calls&) = delete;

   private:
    CallContext& context_;
  };

  // What an app said of a call that went well is not for the next one.
  void forget_error() {
    if (!error_.empty()) error_.clear();
  }
  // The text of the last error, taken.
  std::string take_error();
  // The same for a line of the log, which says so when the app gave none.
  std::string take_reason();

  // The generations that were told of this thread (thread_start), and whether they accepted it.
  std::vector<std::pair<Generation*, bool>> joined;

  // The role of the process that new contexts tell, SONICORN_PROCESS_...; to be set before the
  // first is made. A worker's unless set.
  static void set_process_role(std::uint32_t role);
  // Which of the workers the process is, from 0; likewise.
  static void set_worker_index(std::uint32_t index);

 private:
  static void store_error(const sonicorn_context* context, const char* text, uint64_t text_size);

  mutable std::string error_;
};

// Shows other threads that a request runs code of `generation` on this one, as long as it lives;
// and has the context name the attribute.
class RunningCall {
 public:
  RunningCall(CallContext& context, Generation& generation, Attribute attribute)
      : context_(context),
        event_(context.event),
        generation_(context.running.generation.load(std::memory_order_relaxed)),
        attribute_(context.running.attribute.load(std::memory_order_relaxed)) {
    context.set_event(name_of(attribute));
    show(&generation, attribute);
  }
  ~RunningCall() {
    context_.event = event_;
    show(generation_, attribute_);
  }
  RunningCall(const RunningCall&) = delete;
  RunningCall& operator=(const RunningCall&) = delete;

 private:
  void show(Generation* generation, Attribute attribute) {
    context_.running.count();
    context_.running.attribute.store(attribute, std::memory_order_relaxed);
    context_.running.generation.store(generation, std::memory_order_release);
  }

  CallContext& context_;
  sonicorn_string event_;  // of what this call interrupts, if it does
  Generation* generation_;
  Attribute attribute_;
};

}  // namespace sonicorn::app
