// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <sonicorn/cpp/context.hpp>
#include <sonicorn/testing/record.hpp>
#include <sonicorn/testing/request.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace sonicorn::testing {

namespace detail {
class Instance;
struct World;
}  // namespace detail

// How an app is run.
struct AppOptions {
  std::string settings = "{}";  // a JSON object
  std::string mount = "/";
  std::string name = {};      // instead of the manifest's
  std::string manifest = {};  // of a linked app, instead of what its sources say: a JSON object
};

// Why an app is drained or stopped.
struct Stop {
  Reason reason = Reason::test;
  int signal_number = 0;  // 0: the signal that belongs to the reason, if any
  std::string message = {};
  std::optional<std::chrono::milliseconds> time = {};  // until the deadline; default: the grace
};

// An event for on_event.
struct ServerEvent {
  Scope scope = Scope::server;
  std::string action = {};   // "config_changed"
  std::string message = {};  // JSON
  Reason reason = Reason::none;
};

// One app under a test host. Each function is what a server does, and calls the attribute of its
// name only where the app has it (otherwise Result::called is false). What no server would do
// throws Misuse; a rule that the app broke throws BrokenRule. One thread. Movable; where the app
// was started and not shut down, the destructor shuts it down (Reason::test), and aborts the
// process with a sentence when a background thread of the app does not end.
class App {
 public:
  App(App&&) noexcept;
  App& operator=(App&&) noexcept;
  ~App();

  // The name under which it runs, and its mount, "" for the root.
  const std::string& name() const;
  const std::string& mount() const;

  // Once. When it fails, nothing else of the app is called.
  Result start();

  // Any number of times.
  Result health();

  // Once, before the first request; the first request calls it where the test did not.
  Result ready();

  // The way of a request that reaches this server: pre_request of each app above the path, in load
  // order, the handler, post_request in reverse order. `target` counts from the app's mount.
  Response get(std::string target);
  Response request(Request request);

  // on_event with what no other attribute takes.
  Result event(const ServerEvent& event);

  // reload with the phase `settings`; throws Misuse when they are no JSON object.
  Result reload_settings(std::string settings);
  // A new build is about to come: the app may decline. And: it was dropped.
  Result prepare_reload();
  Result abort_reload();

  // Declined is "not yet"; then is_drained() is false until the app says so through drain/1.
  Result drain(const Stop& why = {});
  bool is_drained() const;

  // What describe says, a JSON object; "" when the app has not got it. Throws BrokenRule when it
  // fails or is no JSON object.
  std::string describe();

  // Ends the app as a server does: thread_exit, no timer fires any more, background threads are
  // told to stop and joined, then shutdown; then its code is unloaded. Throws BrokenRule when a
  // thread does not end, without calling shutdown: the code then stays in the process.
  Result shutdown(const Stop& why = {});
  Result shutdown(Reason reason);

  // Every call so far, in order; also when it is shut down.
  const std::vector<Call>& calls() const;
  // Their names: "start on_request shutdown".
  std::string call_order() const;
  // Forgets them.
  void forget_calls();

  // What it wrote, without the level.
  std::vector<std::string> log() const;
  // Whether a line of it has `part` in it.
  bool logged(std::string_view part) const;

  // Its metric of this name; throws Misuse, with the names that there are, when there is none.
  Metric metric(std::string_view name) const;
  std::vector<Metric> metrics() const;

 private:
  friend class Host;
  explicit App(std::unique_ptr<detail::Instance> instance);

  std::unique_ptr<detail::Instance> instance_;
};

}  // namespace sonicorn::testing
