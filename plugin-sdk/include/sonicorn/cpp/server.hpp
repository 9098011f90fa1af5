// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sonicorn/capabilities.h>
#include <sonicorn/server.h>

#include <cstdint>
#include <cstdio>
#include <sonicorn/cpp/text.hpp>
#include <string>
#include <string_view>

namespace sonicorn {

enum class Level : std::uint32_t {
  debug = SONICORN_LOG_DEBUG,
  info = SONICORN_LOG_INFO,
  warning = SONICORN_LOG_WARNING,
  error = SONICORN_LOG_ERROR,
};

namespace detail {

// Which capability has the table `Table`; nullptr: none of ABI 1.
template <class Table>
struct CapabilityOf {
  static constexpr const char* id() { return nullptr; }
};

#define SONICORN_DETAIL_CAPABILITY(table, name)        \
  template <>                                          \
  struct CapabilityOf<table> {                         \
    static constexpr const char* id() { return name; } \
  }
SONICORN_DETAIL_CAPABILITY(sonicorn_shutdown_promise, SONICORN_CAPABILITY_SHUTDOWN);
SONICORN_DETAIL_CAPABILITY(sonicorn_drain_promise, SONICORN_CAPABILITY_DRAIN);
SONICORN_DETAIL_CAPABILITY(sonicorn_reload_promise, SONICORN_CAPABILITY_RELOAD);
SONICORN_DETAIL_CAPABILITY(sonicorn_state_promise, SONICORN_CAPABILITY_STATE);
SONICORN_DETAIL_CAPABILITY(sonicorn_request_events_promise, SONICORN_CAPABILITY_REQUEST_EVENTS);
SONICORN_DETAIL_CAPABILITY(sonicorn_events_promise, SONICORN_CAPABILITY_EVENTS);
SONICORN_DETAIL_CAPABILITY(sonicorn_streaming, SONICORN_CAPABILITY_STREAMING);
SONICORN_DETAIL_CAPABILITY(sonicorn_deferred, SONICORN_CAPABILITY_DEFERRED);
SONICORN_DETAIL_CAPABILITY(sonicorn_websocket_service, SONICORN_CAPABILITY_WEBSOCKET);
SONICORN_DETAIL_CAPABILITY(sonicorn_log, SONICORN_CAPABILITY_LOG);
SONICORN_DETAIL_CAPABILITY(sonicorn_metrics, SONICORN_CAPABILITY_METRICS);
SONICORN_DETAIL_CAPABILITY(sonicorn_timer, SONICORN_CAPABILITY_TIMER);
SONICORN_DETAIL_CAPABILITY(sonicorn_background, SONICORN_CAPABILITY_BACKGROUND);
SONICORN_DETAIL_CAPABILITY(sonicorn_bus, SONICORN_CAPABILITY_BUS);
SONICORN_DETAIL_CAPABILITY(sonicorn_control, SONICORN_CAPABILITY_CONTROL);
SONICORN_DETAIL_CAPABILITY(sonicorn_thread_check, SONICORN_CAPABILITY_THREAD_CHECK);
#undef SONICORN_DETAIL_CAPABILITY

constexpr const char* name_of(Level level) {
  switch (level) {
    case Level::debug:
      return "debug";
    case Level::info:
      return "info";
    case Level::warning:
      return "warning";
    case Level::error:
      return "error";
  }
  return "info";
}

}  // namespace detail

// The server as the app sees it. The reference that the app's constructor receives, and all text
// that it gives out, stay valid until the app is destroyed. Any thread may use it.
class Server {
 public:
  explicit Server(const sonicorn_server* server)
      : server_(server), log_(capability<sonicorn_log>()) {}

  // "sonicorn", and its version, "1.2.3".
  std::string_view name() const { return detail::view_of(server_->name); }
  std::string_view version() const { return detail::view_of(server_->version); }

  // The name under which this app runs.
  std::string_view app_name() const { return detail::view_of(server_->app_name); }

  // Where: "" for the root, else "/prefix".
  std::string_view mount() const { return detail::view_of(server_->mount); }

  // The app's settings, a JSON object as text; "{}" when there are none.
  std::string_view settings() const { return detail::view_of(server_->settings); }

  // The table of a capability of ABI 1, found by its type: capability<sonicorn_log>(). Valid until
  // the app is destroyed. nullptr: this server does not deliver it, or the operator withheld it.
  template <class Table>
  const Table* capability() const {
    static_assert(
        detail::CapabilityOf<Table>::id() != nullptr,
        "Server::capability<T>(): T is the table of no capability in <sonicorn/capability/>; "
        "for another vendor's write capability<T>(\"com.example.name/1\")");
    return capability<Table>(detail::CapabilityOf<Table>::id());
  }

  // The table of any capability, "NAME/REV" or "com.example.NAME/REV"; `Table` must be the type
  // that its vendor declares for it.
  template <class Table>
  const Table* capability(const char* id) const {
    return static_cast<const Table*>(server_->get_capability(server_, id));
  }

  // One line in the server's log with the app's name; on standard error where the server delivers
  // no log/1. Never throws.
  void log(Level level, std::string_view text) const noexcept {
    if (log_ != nullptr) {
      log_->write(server_, static_cast<std::uint32_t>(level), text.data(), text.size());
      return;
    }
    const std::string_view app = app_name();
    std::fprintf(stderr, "%s: %.*s: %.*s\n", detail::name_of(level), static_cast<int>(app.size()),
                 app.data(), static_cast<int>(text.size()), text.data());
  }

  // The C struct behind it, which functions of capability tables take.
  const sonicorn_server* c() const { return server_; }

 private:
  const sonicorn_server* server_;
  const sonicorn_log* log_;
};

}  // namespace sonicorn
