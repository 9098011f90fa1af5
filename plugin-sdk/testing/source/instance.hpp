// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sonicorn/context.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <sonicorn/testing/app.hpp>
#include <sonicorn/testing/functions.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "manifest.hpp"
#include "module.hpp"
#include "server_view.hpp"
#include "world.hpp"

namespace sonicorn::testing::detail {

// What the context of a call says beside what every call says.
struct About {
  const char* attribute;
  Scope scope = Scope::app;
  std::uint32_t role = SONICORN_THREAD_LIFECYCLE;
  Reason reason = Reason::none;
  int signal_number = 0;
  std::string_view event = {};  // instead of the attribute's name
  std::string_view message = {};
  std::chrono::milliseconds time = {};  // until the deadline; 0: none
};

// One app in a host, from load to unload. The public App stands before it.
class Instance {
 public:
  // `module` is null for an app that is linked. Throws Refused and Misuse.
  Instance(std::shared_ptr<World> world, Manifest manifest, std::unique_ptr<Module> module,
           Functions functions, AppOptions options);
  Instance(const Instance&) = delete;
  Instance& operator=(const Instance&) = delete;
  ~Instance();

  const std::string& name() const { return view_.facts().app_name; }
  const std::string& mount() const { return view_.facts().mount; }
  const Functions& functions() const { return functions_; }
  const std::shared_ptr<World>& world() const { return world_; }
  const ServerView& view() const { return view_; }

  Result start();
  Result health();
  Result ready();
  Result event(const ServerEvent& event);
  Result reload(std::uint32_t phase, const std::string& settings);
  Result drain(const Stop& why);
  std::string describe();
  Result shutdown(const Stop& why);

  bool is_running() const { return phase_ == Phase::started; }
  // Its start failed, or it was shut down: the host goes on as if it were not there.
  bool is_over() const { return phase_ == Phase::failed || phase_ == Phase::stopped; }
  // Throws Misuse unless it runs. `what` cannot be done otherwise.
  void require_running(const char* what) const;
  bool is_drained() const { return drained_; }
  // A thread of it did not end, so nothing of it may go.
  bool is_stuck() const { return stuck_; }

  std::vector<Call> calls;

  // For the way of a request. False: thread_start refused the thread.
  bool enter_requests();
  bool filters() const;
  bool hears_of_disconnects() const;
  std::int32_t on_request(const sonicorn_request& request, sonicorn_response& response,
                          std::string& error);
  std::int32_t pre_request(const sonicorn_request& request, sonicorn_response& response,
                           void** exchange, std::string& error);
  void post_request(const sonicorn_request& request, const sonicorn_outcome& outcome,
                    void* exchange);
  void on_disconnect(const sonicorn_request& request);

  // For the world.
  void fire(const Timer& timer);
  void take_message(const Message& message);

  // For the server's functions: any thread.
  // Whether it may start timers and threads: from start until shutdown begins.
  bool takes_work() const { return takes_work_; }
  void drain_finished();
  // Under the world's mutex.
  bool subscribes_to(std::string_view topic) const { return view_.subscribes_to(topic); }

 private:
  enum class Phase { loaded, started, failed, stopped };

  // Calls `body` with a context, and writes the call down.
  template <class Body>
  Result call(const About& about, const Body& body);
  template <class Body>
  Result call_for_request(const char* attribute, const Body& body);
  // What the server does for it ends. The names of background threads that do not.
  std::vector<std::string> end_work();

  std::shared_ptr<World> world_;
  std::unique_ptr<Module> module_;
  Functions functions_;
  bool blocking_;
  ServerView view_;
  std::uint64_t generation_;
  Phase phase_ = Phase::loaded;
  std::string start_error_;
  void* state_ = nullptr;
  bool ready_called_ = false;
  bool thread_started_ = false;
  bool thread_refused_ = false;
  bool stuck_ = false;
  std::atomic<bool> draining_ = false;
  std::atomic<bool> drained_ = false;
  std::atomic<bool> takes_work_ = false;
};

}  // namespace sonicorn::testing::detail
