#include "app/server_view.hpp"

#include <sonicorn/attributes.h>

#include <algorithm>
#include <utility>

#include "app/background.hpp"
#include "app/generation.hpp"
#include "app/thread_role.hpp"
#include "core/log.hpp"
#include "core/version.hpp"

namespace sonicorn::app {
namespace {

sonicorn_string abi_string(std::string_view text) { return {text.data(), text.size()}; }

std::string_view text_of(const char* text) {
  return text == nullptr ? std::string_view() : std::string_view(text);
}

std::string_view bytes_of(const char* data, std::uint64_t size) {
  return {data, data == nullptr ? 0 : static_cast<std::size_t>(size)};
}

constexpr std::uint64_t bit(unsigned number) { return std::uint64_t{1} << number; }

// An app's milliseconds, which may be any number, as a duration that can be added to a time.
std::chrono::milliseconds duration_of(std::uint64_t count) {
  constexpr std::uint64_t kMost = 100ULL * 365 * 24 * 3600 * 1000;
  return std::chrono::milliseconds(std::min(count, kMost));
}

core::log::Level level_of(std::uint32_t level) {
  switch (level) {
    case SONICORN_LOG_DEBUG:
      return core::log::Level::debug;
    case SONICORN_LOG_INFO:
      return core::log::Level::info;
    case SONICORN_LOG_WARNING:
      return core::log::Level::warning;
    default:
      return core::log::Level::error;
  }
}

}  // namespace

// Nothing here throws into the app: what there is no memory for fails.
struct ServerView::Glue {
  static const ServerView& view(const sonicorn_server* server) {
    return *static_cast<const ServerView*>(server);
  }

  static const void* get_capability(const sonicorn_server* server, const char* id) noexcept;

  static void write_log(const sonicorn_server* server, std::uint32_t level, const char* text,
                        std::uint64_t text_size) noexcept {
    const core::log::Level at = level_of(level);
    if (!core::log::enabled(at)) return;
    try {
      core::log::write(
          at, fmt::format("app {}: {}", view(server).facts_.app_name, bytes_of(text, text_size)));
    } catch (const std::exception&) {
      return;  // a line is lost
    }
  }

  static sonicorn_metric* get_metric(const sonicorn_server* server, std::uint32_t kind,
                                     const char* name, const char* help) noexcept {
    try {
      const ServerView& self = view(server);
      return self.shared_.metrics.get(self.facts_.app_name, kind, text_of(name), text_of(help));
    } catch (const std::exception&) {
      return nullptr;
    }
  }

  static std::uint64_t start_timer(const sonicorn_server* server, std::uint64_t delay_ms,
                                   std::uint64_t period_ms, void (*callback)(void*),
                                   void* argument) noexcept {
    if (callback == nullptr) return 0;
    try {
      return view(server).own_.start_timer(duration_of(delay_ms), duration_of(period_ms), callback,
                                           argument);
    } catch (const std::exception&) {
      return 0;
    }
  }

  static void cancel_timer(const sonicorn_server* server, std::uint64_t timer) noexcept {
    view(server).own_.cancel_timer(timer);
  }

  static std::int32_t start_background(const sonicorn_server* server, const char* name,
                                       void (*body)(sonicorn_stop_token*, void*),
                                       void* argument) noexcept {
    if (!allowed_here("background/1 start", {SONICORN_THREAD_LIFECYCLE})) return SONICORN_ERROR;
    if (body == nullptr) return SONICORN_ERROR;
    try {
      return view(server).own_.start_background(std::string(text_of(name)), body, argument)
                 ? SONICORN_OK
                 : SONICORN_ERROR;
    } catch (const std::exception&) {
      return SONICORN_ERROR;
    }
  }

  static std::int32_t stop_requested(const sonicorn_stop_token* stop) noexcept {
    return BackgroundThreads::stop_requested(stop);
  }

  static std::int32_t wait(sonicorn_stop_token* stop, std::uint64_t timeout_ms) noexcept {
    allowed_here("background/1 wait", {SONICORN_THREAD_BACKGROUND});
    return BackgroundThreads::wait(stop, timeout_ms);
  }

  static std::int32_t subscribe(const sonicorn_server* server, const char* topic) noexcept {
    try {
      return view(server).own_.subscribe(text_of(topic), true);
    } catch (const std::exception&) {
      return SONICORN_ERROR;
    }
  }

  static std::int32_t unsubscribe(const sonicorn_server* server, const char* topic) noexcept {
    try {
      return view(server).own_.subscribe(text_of(topic), false);
    } catch (const std::exception&) {
      return SONICORN_ERROR;
    }
  }

  static std::int32_t publish(const sonicorn_server* server, const char* topic, const char* json,
                              std::uint64_t json_size) noexcept {
    try {
      return view(server).shared_.bus.publish(text_of(topic), bytes_of(json, json_size));
    } catch (const std::exception&) {
      return SONICORN_ERROR;
    }
  }

  static std::int32_t ask(const sonicorn_server* server, std::uint32_t action, const char* message,
                          std::uint64_t message_size) noexcept {
    const ServerView& self = view(server);
    if (action >= 32 || (self.shared_.control_allowed & bit(action)) == 0) {
      return SONICORN_DECLINED;
    }
    try {
      self.shared_.control(
          {self.facts_.app_name, action, std::string(bytes_of(message, message_size))});
      return SONICORN_OK;
    } catch (const std::exception&) {
      return SONICORN_ERROR;
    }
  }

  static std::uint32_t role(const sonicorn_server*) noexcept { return thread_role(); }

  static void drain_finished(const sonicorn_server* server) noexcept {
    view(server).own_.drain_finished();
  }
};

const void* ServerView::Glue::get_capability(const sonicorn_server* server,
                                             const char* id) noexcept {
  if (server == nullptr || id == nullptr) return nullptr;
  const ServerView& self = view(server);
  const std::string_view wanted(id);
  if (!self.shared_.offer.has(wanted)) {
    if (well_formed_capability(wanted)) return nullptr;
    const auto text = fmt::format(
        "app {}: asked for the capability \"{}\", which is not of the form NAME/REV: write it as "
        "\"log/1\" or \"com.example.log/1\"",
        self.facts_.app_name, wanted);
#ifdef NDEBUG
    core::log::debug("{}", text);
#else
    core::log::warning("{}", text);
#endif
    return nullptr;
  }
  const std::pair<std::string_view, const void*> tables[] = {
      {SONICORN_CAPABILITY_SHUTDOWN, &self.shutdown_},
      {SONICORN_CAPABILITY_DRAIN, &self.drain_},
      {SONICORN_CAPABILITY_RELOAD, &self.reload_},
      {SONICORN_CAPABILITY_STATE, &self.state_},
      {SONICORN_CAPABILITY_REQUEST_EVENTS, &self.request_events_},
      {SONICORN_CAPABILITY_EVENTS, &self.events_},
      {SONICORN_CAPABILITY_LOG, &self.log_},
      {SONICORN_CAPABILITY_METRICS, &self.metrics_},
      {SONICORN_CAPABILITY_TIMER, &self.timer_},
      {SONICORN_CAPABILITY_BACKGROUND, &self.background_},
      {SONICORN_CAPABILITY_BUS, &self.bus_},
      {SONICORN_CAPABILITY_CONTROL, &self.control_},
      {SONICORN_CAPABILITY_THREAD_CHECK, &self.thread_check_},
  };
  for (const auto& [name, table] : tables) {
    if (name == wanted) return table;
  }
  return nullptr;
}

ServerView::ServerView(Facts facts, Services& shared, AppServices& own)
    : sonicorn_server{}, facts_(std::move(facts)), shared_(shared), own_(own) {
  static_cast<sonicorn_server&>(*this) = {
      .size = sizeof(sonicorn_server),
      .abi_minor = SONICORN_ABI_MINOR,
      .name = SONICORN_STRING("sonicorn"),
      .version = abi_string(core::kVersion),
      .app_name = abi_string(facts_.app_name),
      .mount = abi_string(facts_.mount),
      .settings = abi_string(facts_.settings),
      .get_capability = &Glue::get_capability,
  };
  const auto grace_ms = static_cast<std::uint32_t>(shared.grace.count());
  shutdown_ = {
      .size = sizeof(shutdown_),
      .grace_ms = grace_ms,
      .signals = shared.stop_signals,
      .reasons = shared.stop_reasons,
      .not_on = shared.shutdown_not_on,
      .least_ms = static_cast<std::uint32_t>(kLeastShutdown.count()),
  };
  drain_ = {.size = sizeof(drain_), .grace_ms = grace_ms, .finished = &Glue::drain_finished};
  reload_ = {.size = sizeof(reload_),
             .phases = static_cast<std::uint32_t>(bit(SONICORN_RELOAD_SETTINGS) |
                                                  bit(SONICORN_RELOAD_PREPARE) |
                                                  bit(SONICORN_RELOAD_ABORTED)),
             .automatic = shared.reloads.automatic ? 1u : 0u,
             .probation_ms = static_cast<std::uint32_t>(shared.reloads.probation.count())};
  state_ = {.size = sizeof(state_), .reserved = 0, .max_size = kLargestState};
  request_events_ = {.size = sizeof(request_events_),
                     .events = SONICORN_REQUEST_EVENT_PRE | SONICORN_REQUEST_EVENT_POST |
                               SONICORN_REQUEST_EVENT_DISCONNECT};
  events_ = {.size = sizeof(events_),
             .scopes = static_cast<std::uint32_t>(bit(SONICORN_SCOPE_SERVER))};
  if (shared.offer.has(SONICORN_CAPABILITY_BUS)) {
    events_.scopes |= static_cast<std::uint32_t>(bit(SONICORN_SCOPE_BUS));
  }
  log_ = {.size = sizeof(log_), .reserved = 0, .write = &Glue::write_log};
  metrics_ = {.size = sizeof(metrics_),
              .reserved = 0,
              .get = &Glue::get_metric,
              .add = &Metrics::add,
              .set = &Metrics::set};
  timer_ = {.size = sizeof(timer_),
            .reserved = 0,
            .start = &Glue::start_timer,
            .cancel = &Glue::cancel_timer};
  background_ = {.size = sizeof(background_),
                 .reserved = 0,
                 .start = &Glue::start_background,
                 .stop_requested = &Glue::stop_requested,
                 .wait = &Glue::wait};
  bus_ = {.size = sizeof(bus_),
          .reserved = 0,
          .subscribe = &Glue::subscribe,
          .unsubscribe = &Glue::unsubscribe,
          .publish = &Glue::publish};
  control_ = {.size = sizeof(control_), .allowed = shared.control_allowed, .ask = &Glue::ask};
  thread_check_ = {.size = sizeof(thread_check_), .reserved = 0, .role = &Glue::role};
}

}  // namespace sonicorn::app
