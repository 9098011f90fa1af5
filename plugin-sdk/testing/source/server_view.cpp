// SPDX-License-Identifier: Apache-2.0
#include "server_view.hpp"

#include <signal.h>
#include <sonicorn/attributes.h>

#include <algorithm>
#include <cmath>
#include <system_error>
#include <thread>

#include "instance.hpp"
#include "manifest.hpp"
#include "world.hpp"

namespace sonicorn::testing::detail {
namespace {

constexpr std::size_t kLongestTopic = 256;  // bytes
constexpr std::size_t kLongestMetric = 200;
constexpr std::size_t kMostMetrics = 1000;  // of one app

constexpr std::uint64_t bit(std::uint32_t number) { return std::uint64_t{1} << number; }

bool is_metric_name(std::string_view name) {
  if (name.empty() || name.size() > kLongestMetric || (name[0] >= '0' && name[0] <= '9') ||
      name.starts_with("sonicorn_") || name.starts_with("__")) {
    return false;
  }
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
}

bool is_topic(const char* topic) {
  if (topic == nullptr) return false;
  const std::string_view text(topic);
  return !text.empty() && text.size() <= kLongestTopic &&
         std::none_of(text.begin(), text.end(), [](char c) {
           const auto byte = static_cast<unsigned char>(c);
           return byte < 0x20 || byte == 0x7f;
         });
}

std::string on_one_line(std::string_view text) {
  std::string line;
  for (const char c : text) {
    if (c == '\n') {
      line += "\\n";
    } else if (c == '\r') {
      line += "\\r";
    } else {
      line += c;
    }
  }
  return line;
}

std::string_view view(const char* text, std::uint64_t size) {
  return text == nullptr ? std::string_view() : std::string_view(text, size);
}

const char* name_of_role(std::uint32_t role) {
  switch (role) {
    case SONICORN_THREAD_LIFECYCLE:
      return "its lifecycle thread";
    case SONICORN_THREAD_IO:
      return "an I/O thread";
    case SONICORN_THREAD_POOL:
      return "a pool thread";
    case SONICORN_THREAD_BACKGROUND:
      return "a background thread";
    default:
      return "a thread that the server did not start";
  }
}

}  // namespace

struct ServerView::Glue {
  static ServerView& self(const sonicorn_server* server) {
    return *static_cast<ServerView*>(const_cast<sonicorn_server*>(server));
  }

  static const void* get_capability(const sonicorn_server* server, const char* id) {
    if (id == nullptr) return nullptr;
    const auto& tables = self(server).tables_;
    const auto found = tables.find(std::string_view(id));
    return found == tables.end() ? nullptr : found->second;
  }

  static void log(const sonicorn_server* server, std::uint32_t level, const char* text,
                  std::uint64_t text_size) {
    ServerView& view_of_app = self(server);
    const std::lock_guard lock(view_of_app.world_.mutex);
    view_of_app.world_.log.push_back({view_of_app.facts_.app_name, static_cast<Level>(level),
                                      on_one_line(view(text, text_size))});
  }

  static sonicorn_metric* get_metric(const sonicorn_server* server, std::uint32_t kind,
                                     const char* name, const char* help) {
    ServerView& view_of_app = self(server);
    if (name == nullptr || !is_metric_name(name) || kind < SONICORN_METRIC_COUNTER ||
        kind > SONICORN_METRIC_HISTOGRAM) {
      return nullptr;
    }
    const std::lock_guard lock(view_of_app.world_.mutex);
    auto found = view_of_app.metrics_.find(std::string_view(name));
    if (found == view_of_app.metrics_.end()) {
      if (view_of_app.metrics_.size() >= kMostMetrics) return nullptr;
      const auto [first, is_new] = view_of_app.world_.metric_kinds.try_emplace(name, kind);
      if (!is_new && first->second != kind) return nullptr;
      sonicorn_metric made{&view_of_app.world_, {}};
      made.is.kind = kind;
      made.is.name = name;
      made.is.help = help == nullptr ? "" : help;
      found = view_of_app.metrics_.emplace(name, std::move(made)).first;
    }
    return found->second.is.kind == kind ? &found->second : nullptr;
  }

  static void add(sonicorn_metric* metric, double amount) {
    if (metric == nullptr || std::isnan(amount)) return;
    const std::lock_guard lock(metric->world->mutex);
    const bool counts = metric->is.kind == SONICORN_METRIC_COUNTER && amount > 0;
    if (counts || metric->is.kind == SONICORN_METRIC_GAUGE) metric->is.value += amount;
  }

  static void set(sonicorn_metric* metric, double value) {
    if (metric == nullptr || std::isnan(value)) return;
    const std::lock_guard lock(metric->world->mutex);
    if (metric->is.kind == SONICORN_METRIC_GAUGE) metric->is.value = value;
    if (metric->is.kind == SONICORN_METRIC_HISTOGRAM) metric->is.observations.push_back(value);
  }

  static std::uint64_t start_timer(const sonicorn_server* server, std::uint64_t delay_ms,
                                   std::uint64_t period_ms, void (*callback)(void* argument),
                                   void* argument) {
    ServerView& view_of_app = self(server);
    World& world = view_of_app.world_;
    if (callback == nullptr || !view_of_app.app_.takes_work()) return 0;
    const std::lock_guard lock(world.mutex);
    const std::uint64_t id = ++world.last_timer;
    world.timers.push_back(
        {id, &view_of_app.app_, later(world.now, delay_ms), period_ms, callback, argument});
    return id;
  }

  static void cancel_timer(const sonicorn_server* server, std::uint64_t timer) {
    ServerView& view_of_app = self(server);
    const std::lock_guard lock(view_of_app.world_.mutex);
    std::erase_if(view_of_app.world_.timers, [&](const Timer& each) {
      return each.id == timer && each.app == &view_of_app.app_;
    });
  }

  static std::int32_t start_background(const sonicorn_server* server, const char* name,
                                       void (*body)(sonicorn_stop_token* stop, void* argument),
                                       void* argument) {
    ServerView& view_of_app = self(server);
    World& world = view_of_app.world_;
    if (!view_of_app.allows("background/1 start", SONICORN_THREAD_LIFECYCLE)) return SONICORN_ERROR;
    if (name == nullptr || body == nullptr || !view_of_app.app_.takes_work()) {
      return SONICORN_ERROR;
    }
    auto token = std::make_shared<sonicorn_stop_token>();
    token->world = view_of_app.app_.world();
    token->app = &view_of_app.app_;
    token->app_name = view_of_app.facts_.app_name;
    token->name = name;
    const std::lock_guard lock(world.mutex);
    try {
      token->thread = std::thread([token, body, argument] {
        role_here() = SONICORN_THREAD_BACKGROUND;
        try {
          body(token.get(), argument);
        } catch (...) {
          token->world->complain("app " + token->app_name +
                                 " let an exception out of its background thread \"" + token->name +
                                 "\"; none may cross the ABI");
        }
        const std::lock_guard ended(token->world->mutex);
        token->done = true;
        token->world->changed.notify_all();
      });
    } catch (const std::system_error&) {
      return SONICORN_ERROR;
    }
    world.threads.push_back(std::move(token));
    return SONICORN_OK;
  }

  static std::int32_t stop_requested(const sonicorn_stop_token* stop) {
    const std::lock_guard lock(stop->world->mutex);
    return stop->stop ? 1 : 0;
  }

  static std::int32_t wait(sonicorn_stop_token* stop, std::uint64_t timeout_ms) {
    World& world = *stop->world;
    if (role_here() != SONICORN_THREAD_BACKGROUND) {
      world.complain("app " + stop->app_name + " called background/1 wait on " +
                     name_of_role(role_here()) + "; only the thread itself may");
      return 1;
    }
    std::unique_lock lock(world.mutex);
    stop->on_its_own = false;
    stop->due = later(world.now, timeout_ms);
    stop->waiting = true;
    world.changed.notify_all();
    world.changed.wait(lock, [&] { return stop->stop || world.now >= stop->due; });
    stop->waiting = false;
    return stop->stop ? 1 : 0;
  }

  static std::int32_t subscribe(const sonicorn_server* server, const char* topic) {
    ServerView& view_of_app = self(server);
    if (!is_topic(topic)) return SONICORN_ERROR;
    const std::lock_guard lock(view_of_app.world_.mutex);
    view_of_app.topics_.insert(topic);
    return SONICORN_OK;
  }

  static std::int32_t unsubscribe(const sonicorn_server* server, const char* topic) {
    ServerView& view_of_app = self(server);
    if (!is_topic(topic)) return SONICORN_ERROR;
    const std::lock_guard lock(view_of_app.world_.mutex);
    view_of_app.topics_.erase(topic);
    return SONICORN_OK;
  }

  static std::int32_t publish(const sonicorn_server* server, const char* topic, const char* json,
                              std::uint64_t json_size) {
    const std::string_view text = view(json, json_size);
    if (!is_topic(topic) || !is_json(text)) return SONICORN_ERROR;
    return self(server).world_.publish(topic, text);
  }

  static std::int32_t ask(const sonicorn_server* server, std::uint32_t action, const char* message,
                          std::uint64_t message_size) {
    ServerView& view_of_app = self(server);
    if (action < SONICORN_CONTROL_RELOAD || action > SONICORN_CONTROL_STOP) return SONICORN_ERROR;
    if ((view_of_app.control_.allowed & bit(action)) == 0) return SONICORN_DECLINED;
    const std::lock_guard lock(view_of_app.world_.mutex);
    view_of_app.world_.control_requests.push_back(
        {view_of_app.facts_.app_name, action, std::string(view(message, message_size))});
    return SONICORN_OK;
  }

  static std::uint32_t role(const sonicorn_server*) { return role_here(); }

  static void drain_finished(const sonicorn_server* server) { self(server).app_.drain_finished(); }
};

const std::vector<std::string>& deliverable() {
  static const std::vector<std::string> ids = {
      SONICORN_CAPABILITY_SHUTDOWN,   SONICORN_CAPABILITY_DRAIN,
      SONICORN_CAPABILITY_RELOAD,     SONICORN_CAPABILITY_REQUEST_EVENTS,
      SONICORN_CAPABILITY_EVENTS,     SONICORN_CAPABILITY_LOG,
      SONICORN_CAPABILITY_METRICS,    SONICORN_CAPABILITY_TIMER,
      SONICORN_CAPABILITY_BACKGROUND, SONICORN_CAPABILITY_BUS,
      SONICORN_CAPABILITY_CONTROL,    SONICORN_CAPABILITY_THREAD_CHECK};
  return ids;
}

ServerView::ServerView(Instance& app, World& world, Facts facts)
    : sonicorn_server{}, app_(app), world_(world), facts_(std::move(facts)) {
  size = sizeof(sonicorn_server);
  abi_minor = SONICORN_ABI_MINOR;
  name = SONICORN_STRING("sonicorn");
  version = SONICORN_STRING("1.0.0");
  app_name = {facts_.app_name.data(), facts_.app_name.size()};
  mount = {facts_.mount.data(), facts_.mount.size()};
  settings = {facts_.settings.data(), facts_.settings.size()};
  sonicorn_server::get_capability = &Glue::get_capability;
  fill_tables();
}

void ServerView::fill_tables() {
  const auto grace_ms = static_cast<std::uint32_t>(world_.options.grace.count());
  shutdown_ = {.size = sizeof(shutdown_),
               .grace_ms = grace_ms,
               .signals = bit(SIGTERM) | bit(SIGINT) | bit(SIGQUIT),
               .reasons = (bit(SONICORN_REASON_CALL_ENDED + 1) - 1) & ~bit(SONICORN_REASON_NONE),
               .not_on = SONICORN_SHUTDOWN_NOT_ON_KILL | SONICORN_SHUTDOWN_NOT_ON_CRASH |
                         SONICORN_SHUTDOWN_NOT_ON_STUCK_THREAD,
               .least_ms = grace_ms};
  drain_ = {.size = sizeof(drain_), .grace_ms = grace_ms, .finished = &Glue::drain_finished};
  reload_ = {.size = sizeof(reload_),
             .phases = static_cast<std::uint32_t>(bit(SONICORN_RELOAD_SETTINGS) |
                                                  bit(SONICORN_RELOAD_PREPARE) |
                                                  bit(SONICORN_RELOAD_ABORTED)),
             .automatic = 0,
             .probation_ms = 0};
  request_events_ = {.size = sizeof(request_events_),
                     .events = SONICORN_REQUEST_EVENT_PRE | SONICORN_REQUEST_EVENT_POST |
                               SONICORN_REQUEST_EVENT_DISCONNECT};
  events_ = {
      .size = sizeof(events_),
      .scopes = static_cast<std::uint32_t>(bit(SONICORN_SCOPE_SERVER) | bit(SONICORN_SCOPE_WORKER) |
                                           bit(SONICORN_SCOPE_APP))};
  log_ = {.size = sizeof(log_), .reserved = 0, .write = &Glue::log};
  metric_functions_ = {.size = sizeof(metric_functions_),
                       .reserved = 0,
                       .get = &Glue::get_metric,
                       .add = &Glue::add,
                       .set = &Glue::set};
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
  control_ = {
      .size = sizeof(control_), .allowed = world_.options.control_allowed, .ask = &Glue::ask};
  thread_check_ = {.size = sizeof(thread_check_), .reserved = 0, .role = &Glue::role};

  const std::map<std::string, const void*> own = {
      {SONICORN_CAPABILITY_SHUTDOWN, &shutdown_},
      {SONICORN_CAPABILITY_DRAIN, &drain_},
      {SONICORN_CAPABILITY_RELOAD, &reload_},
      {SONICORN_CAPABILITY_REQUEST_EVENTS, &request_events_},
      {SONICORN_CAPABILITY_EVENTS, &events_},
      {SONICORN_CAPABILITY_LOG, &log_},
      {SONICORN_CAPABILITY_METRICS, &metric_functions_},
      {SONICORN_CAPABILITY_TIMER, &timer_},
      {SONICORN_CAPABILITY_BACKGROUND, &background_},
      {SONICORN_CAPABILITY_BUS, &bus_},
      {SONICORN_CAPABILITY_CONTROL, &control_},
      {SONICORN_CAPABILITY_THREAD_CHECK, &thread_check_}};
  for (const std::string& id : world_.offered) tables_.emplace(id, own.at(id));
  for (const auto& [id, table] : world_.vendor_tables) tables_.insert_or_assign(id, table);
}

bool ServerView::allows(const char* function, std::uint32_t role) const {
  if (role_here() == role) return true;
  world_.complain("app " + facts_.app_name + " called " + function + " on " +
                  name_of_role(role_here()) + "; it may be called on " + name_of_role(role) +
                  " only");
  return false;
}

}  // namespace sonicorn::testing::detail
