// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <sonicorn/testing/app.hpp>
#include <sonicorn/testing/error.hpp>
#include <sonicorn/testing/functions.hpp>
#include <sonicorn/testing/record.hpp>
#include <sonicorn/testing/request.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sonicorn::testing {

struct HostOptions {
  std::vector<std::string> without = {};  // see Host::withhold
  std::chrono::milliseconds grace = std::chrono::seconds(30);
  std::size_t bus_queue = 1024;  // messages that wait for one app
  // What control/1 allows: bit N for SONICORN_CONTROL action N.
  std::uint32_t control_allowed =
      1u << SONICORN_CONTROL_RELOAD | 1u << SONICORN_CONTROL_DRAIN | 1u << SONICORN_CONTROL_STOP;
  // How long, in real time, the host waits for a background thread: to wait again, to end.
  std::chrono::milliseconds patience = std::chrono::seconds(10);
};

// A server for tests, in this process: it calls apps as <sonicorn/attributes.h> says, on the
// calling thread, in an order that is the same each time. It offers shutdown/1 drain/1 reload/1
// request_events/1 events/1 log/1 metrics/1 timer/1 background/1 bus/1 control/1 thread_check/1.
// Time stands still but for advance(). Apps may outlive it. One thread.
class Host {
 public:
  Host();
  explicit Host(HostOptions options);
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;
  ~Host();

  // For apps that come after it: a capability is not offered, "bus/1", or "bus" in all revisions.
  // A promise that is withheld is not given, but as in the server its attributes are called all the
  // same. Throws Misuse for what is not offered anyway.
  void withhold(std::string_view capability);

  // For apps that come after it: a capability is offered, of another vendor, or one that the host
  // lacks. `table` outlives the apps.
  void offer(std::string_view capability, const void* table);

  // The app in a file NAME.so. Throws Refused as a server would. One file cannot be loaded twice at
  // once.
  App load(const std::string& file, AppOptions options = {});

  // The app whose sources are part of this executable: it has one SONICORN_APP, or the functions in
  // C. Its manifest is the executable's. An app without shutdown can be started once in a process.
  App link(AppOptions options = {});

  // The class itself, with each attribute that it has as a member. Its manifest is the options',
  // else the executable's, else that of an app without one. One object of a class at a time.
  template <class C>
  App link(AppOptions options = {}) {
    return link_class(detail::functions_of<C>(), std::move(options));
  }

  // A request by the whole path, to the app with the longest mount that holds it; 404 without one.
  Response get(std::string target);
  Response request(Request request);

  // Lets time pass: fires the timers that fall due, and wakes the background threads that wait, in
  // order, each at its time, and waits until those threads wait again.
  void advance(std::chrono::milliseconds time);

  // Since the host was made.
  std::chrono::milliseconds now() const;

  // A message on the bus, delivered before it returns. Throws Misuse when it is no JSON.
  void publish(std::string_view topic, std::string_view json);

  // Waits until each background thread waits through background/1 or has ended, and delivers what
  // they published. advance() does it, too.
  void settle();

  // The calls into all apps, in order: "filter.pre_request hello.on_request filter.post_request".
  std::string call_order() const;
  const std::vector<Call>& calls() const;
  void forget_calls();

  std::vector<LogLine> log() const;
  // Whether a line has `part` in it.
  bool logged(std::string_view part) const;

  std::vector<ControlRequest> control_requests() const;

 private:
  App link_class(Functions functions, AppOptions options);

  std::shared_ptr<detail::World> world_;
};

}  // namespace sonicorn::testing
