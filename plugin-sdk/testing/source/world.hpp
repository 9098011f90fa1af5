// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <sonicorn/testing/host.hpp>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace sonicorn::testing::detail {
struct World;
}

// A background thread, seen from both sides; guarded by the world's mutex.
struct sonicorn_stop_token {
  std::shared_ptr<sonicorn::testing::detail::World> world;
  const sonicorn::testing::detail::Instance* app = nullptr;  // compared only
  std::string app_name;
  std::string name;
  std::thread thread;
  bool stop = false;
  bool done = false;
  bool waiting = false;     // in background/1's wait
  std::uint64_t due = 0;    // until when
  bool on_its_own = false;  // it does not wait there, so nobody waits for it
};

namespace sonicorn::testing::detail {

class Instance;

// A call that an app asked timer/1 for.
struct Timer {
  std::uint64_t id = 0;
  Instance* app = nullptr;
  std::uint64_t due = 0;
  std::uint64_t period = 0;
  void (*callback)(void* argument) = nullptr;
  void* argument = nullptr;
};

// A message of the bus on its way to one app.
struct Message {
  Instance* app = nullptr;
  std::string topic;
  std::string json;
};

// What all apps of one host share. Times are milliseconds since the host was made.
struct World {
  explicit World(HostOptions host_options) : options(std::move(host_options)) {}

  // The test's thread alone.
  const HostOptions options;
  std::vector<std::string> offered;
  std::vector<std::string> withheld;
  std::map<std::string, const void*, std::less<>> vendor_tables;
  std::vector<Instance*> apps;  // in load order
  std::map<std::string, std::uint64_t> generations;
  std::vector<Call> calls;

  // Every thread, under the mutex.
  std::mutex mutex;
  std::condition_variable changed;  // the time, and the state of background threads
  std::uint64_t now = 0;
  std::uint64_t last_timer = 0;
  std::vector<Timer> timers;
  std::deque<Message> messages;
  std::vector<std::shared_ptr<sonicorn_stop_token>> threads;
  std::vector<LogLine> log;
  std::map<std::string, std::uint32_t, std::less<>> metric_kinds;  // by name, of all apps
  std::vector<ControlRequest> control_requests;
  std::vector<std::string> broken_rules;

  // The functions below are called without the mutex, on the test's thread.

  void advance(std::uint64_t time);
  // Waits until each background thread waits through background/1 or has ended; one that does not
  // within the patience is not waited for again.
  void quiesce();
  // Delivers the messages of the bus, and those that they lead to.
  void deliver();
  // Ends what the test asked for: delivers, and throws BrokenRule when the app broke one.
  void finish();
  // The way of a request to the apps and back.
  Response pass(const Request& request);

  // Tells the background threads of an app to stop, and joins them. The names of those that do not
  // end within the patience, which are left to themselves.
  std::vector<std::string> stop_threads(const Instance& app);
  // Forgets what is to come for an app: timers, messages.
  void forget(const Instance& app);

  // Any thread, without the mutex.

  // Notes that an app broke a rule.
  void complain(std::string rule);
  // For every subscriber; declined when the queue of one is full.
  std::int32_t publish(std::string_view topic, std::string_view json);

 private:
  std::optional<Timer> take_due_timer();
  std::uint64_t next_event(std::uint64_t end);
};

// The saturating sum of two times.
std::uint64_t later(std::uint64_t time, std::uint64_t by);

// Which role the calling thread has now: SONICORN_THREAD_..., 0 outside of any app.
std::uint32_t& role_here();

// "start on_request shutdown", each with the app's name before it where `with_apps`.
std::string order_of(const std::vector<Call>& calls, bool with_apps);

}  // namespace sonicorn::testing::detail
