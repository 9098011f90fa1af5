#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "app/app.hpp"
#include "http/app_response.hpp"
#include "http/passage.hpp"
#include "http/request.hpp"

namespace sonicorn::http {

class Connection;
class Loop;

// One piece of work on the pool: a request to be handled, or what is owed when its response has
// ended (Passage::finish). Owned by whoever works on it now: the loop, the pool's queue, a pool
// thread, the loop again.
struct PoolCall {
  std::unique_ptr<Request> request;
  AppResponse response;
  std::string remote;
  app::App* app = nullptr;                // null: only filters
  app::Generation* generation = nullptr;  // the handler's
  std::unique_ptr<Passage> passage;       // null: nobody follows the request
  bool owed = false;                      // the response has ended: finish the passage
  std::int32_t result = 0;
  std::string error;              // the app's text, when result is below 0
  std::uint64_t deadline_ns = 0;  // CLOCK_MONOTONIC
  std::uint64_t begin_by_ns = 0;  // the same; later it is refused
  std::size_t ahead = 0;          // so many others waited for a thread when it came
  bool late = false;              // it was, and no code of an app was run
  // Nobody waits for the answer any more; set by the home's thread.
  std::atomic<bool> given_up{false};
  Loop* home = nullptr;      // where it goes back to
  PoolCall* next = nullptr;  // in the list of those that are back
  // Null when the client was given up. For the home's thread only.
  Connection* connection = nullptr;

  // Tells the apps of this thread, whose context it is; false: one of them refuses it
  // (thread_start). What is owed runs on any thread.
  bool join(app::CallContext& context) {
    bool accepted = true;
    each_generation(
        [&](app::Generation& each) { accepted = each.join_thread(context) && accepted; });
    return owed || accepted;
  }
  // Whether one of them has refused it.
  bool is_refused(const app::CallContext& context) {
    bool refused = false;
    each_generation([&](app::Generation& each) { refused = refused || each.refuses(context); });
    return refused && !owed;
  }
  // How many threads they have refused together, a thread that two refused counted twice.
  unsigned refused_threads() {
    unsigned all = 0;
    each_generation([&](app::Generation& each) { all += each.refused_threads(); });
    return owed ? 0 : all;
  }

  // Calls the app's code on this thread; not for a request that is late or given up, unless filters
  // follow it, who decide that themselves.
  void run(app::CallContext& context);

  // Counts it among the calls under way of every generation that it is about, and no more.
  void enter() {
    each_generation([](app::Generation& each) { each.enter_pool_call(); });
  }
  void leave() {
    each_generation([](app::Generation& each) { each.leave_pool_call(); });
  }

  // As it came from the store: nothing of a request is in it.
  void clear();

  template <class Use>
  void each_generation(Use use) {
    if (passage != nullptr) {
      passage->each_generation(use);
    } else {
      use(*generation);
    }
  }
};

// Runs calls on threads that may block. Thread-safe.
class Executor {
 public:
  // Takes the call and returns true, or leaves it and returns false when the queue is full. The
  // call comes back through call->home->complete().
  virtual bool submit(std::unique_ptr<PoolCall>& call) = 0;

  // Takes what is owed, however full the queue is.
  virtual void submit_owed(std::unique_ptr<PoolCall> call) = 0;

 protected:
  ~Executor() = default;
};

}  // namespace sonicorn::http
