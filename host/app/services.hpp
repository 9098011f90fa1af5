#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

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
  // What is done about a call that holds up an I/O thread; set before the threads are made.
  std::function<void(const Watchdog::Call&)> on_stuck;
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
