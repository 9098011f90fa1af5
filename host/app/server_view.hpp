#pragma once

#include <sonicorn/capabilities.h>
#include <sonicorn/server.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "app/services.hpp"

namespace sonicorn::app {

// What the services of one generation do for it. Thread-safe where the capability's header says
// [any-thread].
class AppServices {
 public:
  virtual std::uint64_t start_timer(std::chrono::milliseconds delay,
                                    std::chrono::milliseconds period, void (*callback)(void*),
                                    void* argument) = 0;
  virtual void cancel_timer(std::uint64_t timer) = 0;
  virtual bool start_background(std::string name, void (*body)(sonicorn_stop_token*, void*),
                                void* argument) = 0;
  virtual std::int32_t subscribe(std::string_view topic, bool on) = 0;
  virtual void drain_finished() = 0;

 protected:
  ~AppServices() = default;
};

// What one state that an app hands over may have, in bytes (state/1).
inline constexpr std::uint64_t kLargestState = std::uint64_t{64} * 1024 * 1024;

// The server as one generation of one app sees it (sonicorn_server), with a table for each
// capability that is offered. It outlives every call into that generation and does not move;
// get_capability may be called from any thread.
class ServerView : private sonicorn_server {
 public:
  struct Facts {
    std::string app_name;
    std::string mount;     // "" for the root
    std::string settings;  // JSON object, as at the start
  };

  // `shared` and `own` outlive the view.
  ServerView(Facts facts, Services& shared, AppServices& own);
  ServerView(const ServerView&) = delete;
  ServerView& operator=(const ServerView&) = delete;

  const sonicorn_server* abi() const { return this; }
  const Facts& facts() const { return facts_; }

 private:
  struct Glue;  // the functions in the tables

  Facts facts_;
  Services& shared_;
  AppServices& own_;

  sonicorn_shutdown_promise shutdown_{};
  sonicorn_drain_promise drain_{};
  sonicorn_reload_promise reload_{};
  sonicorn_state_promise state_{};
  sonicorn_request_events_promise request_events_{};
  sonicorn_events_promise events_{};
  sonicorn_log log_{};
  sonicorn_metrics metrics_{};
  sonicorn_timer timer_{};
  sonicorn_background background_{};
  sonicorn_bus bus_{};
  sonicorn_control control_{};
  sonicorn_thread_check thread_check_{};
};

}  // namespace sonicorn::app
