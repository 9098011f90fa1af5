#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "app/bus.hpp"
#include "app/capabilities.hpp"
#include "app/metrics.hpp"
#include "app/watchdog.hpp"
#include "config/config.hpp"

namespace sonicorn::app {

// What an app asked of the server through control/1.
struct ControlRequest {
  std::string app;
  std::uint32_t action = 0;  // SONICORN_CONTROL_...
  std::string message;
};

// The begin or the end of a step in the life of a generation, for the journal.
struct LifeEvent {
  std::uint64_t key = 0;  // of both the same, in this process
  bool begins = false;
  // Of the begin:
  std::string app;
  std::uint64_t generation = 0;
  std::string build_id;
  std::string event;  // "load", "start", ..., "unload"
  // Of the end: "ok", "declined: TEXT", "failed: TEXT", ...
  std::string result;
};

// What one process delivers to all its apps. Outlives their generations; set up before the first
// is made, then thread-safe.
struct Services {
  Offer offer;
  std::chrono::milliseconds grace{0};
  unsigned io_threads = 1;
  // What leads to shutdown in this process: bit N for signal N, for SONICORN_REASON N.
  std::uint64_t stop_signals = 0;
  std::uint64_t stop_reasons = 0;
  std::uint32_t shutdown_not_on = 0;  // SONICORN_SHUTDOWN_NOT_ON_...
  config::Lifecycle limits;
  config::Reload reloads;
  Metrics metrics;
  Bus bus;
  Watchdog watchdog;
  // What is done about a call that holds up a thread which others need; set before the threads are
  // made.
  std::function<void(const Watchdog::Call&)> on_stuck;
  // Who is told of lives; called on any thread.
  std::function<void(LifeEvent)> tell_life;
  // The result is for end_event().
  std::uint64_t begin_event(std::string app, std::uint64_t generation, std::string build_id,
                            std::string_view event) {
    const std::uint64_t key = ++last_event;
    if (tell_life) {
      tell_life(
          {key, true, std::move(app), generation, std::move(build_id), std::string(event), {}});
    }
    return key;
  }
  void end_event(std::uint64_t key, std::string result) {
    if (tell_life) tell_life({key, false, {}, 0, {}, {}, std::move(result)});
  }
  std::atomic<std::uint64_t> last_event{0};
  // What control/1 allows, bit N for SONICORN_CONTROL action N, and who takes what is asked; called
  // on any thread.
  std::uint32_t control_allowed = 0;
  std::function<void(ControlRequest)> control;

  Services(Offer delivered, const config::Config& config)
      : offer(std::move(delivered)),
        grace(config.grace),
        io_threads(config.threads),
        limits(config.lifecycle),
        reloads(config.reload),
        bus(config.limits.bus_queue) {}
};

}  // namespace sonicorn::app
