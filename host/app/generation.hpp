#pragma once

#include <sonicorn/attributes.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "app/call_context.hpp"
#include "app/capabilities.hpp"
#include "app/lifecycle_thread.hpp"
#include "app/module.hpp"
#include "core/result.hpp"

namespace sonicorn::app {

// What shutdown gets at least, also when requests in flight used up the grace.
inline constexpr std::chrono::milliseconds kLeastShutdown{1'000};

// Why a generation ends, as its shutdown is told.
struct StopReason {
  std::uint32_t reason = SONICORN_REASON_NONE;  // SONICORN_REASON_...
  int signal_number = 0;
  std::chrono::steady_clock::time_point deadline;
  std::string message;
};

// One loaded build of one app: its code, its lifecycle thread, and the state that its start
// returned. on_request may be called from many threads at once, unless the manifest says serial;
// the rest is for whoever owns the generation.
class Generation {
 public:
  struct Traits {
    std::string name;
    std::uint64_t number = 1;
    bool blocking = true;  // handlers run on the pool
    bool serial = false;   // never two calls at once
  };

  Generation(Module module, Traits traits, ServerView::Facts facts);
  // Joins the lifecycle thread and unloads the code. REQUIRES: no call under way.
  ~Generation();
  Generation(const Generation&) = delete;
  Generation& operator=(const Generation&) = delete;

  // Calls the app's start on the lifecycle thread, then `done` there with its outcome. An app
  // without start has started. Once.
  void start(std::function<void(core::Result<void>)> done);

  // Calls the app's shutdown on the lifecycle thread, then `done` there. Once, after a start that
  // succeeded and after the last on_request returned.
  void shutdown(StopReason why, std::function<void()> done);

  const std::string& name() const { return traits_.name; }
  const Traits& traits() const { return traits_; }
  const AttributeTable& attributes() const { return attributes_; }
  bool handles_requests() const { return attributes_.on_request != nullptr; }

  // Calls the handler on this thread; `context` is this thread's. An exception that leaves the app
  // is an error with its text. REQUIRES: handles_requests().
  std::int32_t on_request(CallContext& context, const sonicorn_request& request,
                          sonicorn_response& response);

  // Calls under way on the pool, also those whose client was given up. Thread-safe.
  std::uint32_t pool_calls() const { return pool_calls_.load(std::memory_order_acquire); }
  void enter_pool_call() { pool_calls_.fetch_add(1, std::memory_order_relaxed); }
  void leave_pool_call() { pool_calls_.fetch_sub(1, std::memory_order_release); }

 private:
  std::int32_t guarded_on_request(CallContext& context, const sonicorn_request& request,
                                  sonicorn_response& response);
  void prepare(CallContext& context) const;

  Traits traits_;
  ServerView server_;
  Module module_;
  AttributeTable attributes_;
  void* state_ = nullptr;
  std::mutex serial_;
  std::atomic<std::uint32_t> pool_calls_{0};
  LifecycleThread lifecycle_;
};

}  // namespace sonicorn::app
