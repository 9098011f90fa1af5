#include "worker/apps.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <filesystem>
#include <future>
#include <utility>

#include "app/loader.hpp"
#include "core/log.hpp"
#include "process/child.hpp"

namespace sonicorn::worker {

namespace asio = boost::asio;
namespace log = core::log;

namespace {

// A message about a file, with the whole path where it has only the name.
std::string with_path(const std::filesystem::path& file, const std::string& message) {
  const std::string path = file.string();
  const std::string name = file.filename().string();
  if (message.find(path) != std::string::npos) return message;
  if (message.starts_with(name)) return path + message.substr(name.size());
  return path + ": " + message;
}

std::string mount_text(const app::App& app) { return app.mount().empty() ? "/" : app.mount(); }

std::string what_it_does(const app::Generation& generation, const app::App& app) {
  if (generation.handles_requests()) return fmt::format("serves {}", mount_text(app));
  if (generation.filters_requests()) return fmt::format("filters {}", mount_text(app));
  return "runs, and answers no requests";
}

// "failed (-1, generation 1): no database", "declined (1, ...", "did not return within its time".
std::string text_of(const app::App& app, const app::Outcome& outcome) {
  const std::uint64_t generation = app.current().traits().number;
  if (outcome.overdue) {
    return fmt::format("did not return within its time (generation {})", generation);
  }
  return fmt::format("{} ({}, generation {}): {}", outcome.result > 0 ? "declined" : "failed",
                     outcome.result, generation,
                     outcome.error.empty() ? "it gave no text (sonicorn_fail)" : outcome.error);
}

}  // namespace

Apps::Apps(const config::Config& config, app::Services& services, const app::RuntimeDir& copies,
           std::vector<std::string> quarantined, asio::io_context& io)
    : config_(config),
      services_(services),
      copies_(copies),
      io_(io),
      health_timer_(io),
      quarantined_(std::move(quarantined)) {}

// Whether the app's code is not to be run; its mount is closed then. Its name is in its file, which
// is looked at without running it.
bool Apps::is_quarantined(const config::App& wanted) {
  if (quarantined_.empty()) return false;
  const auto has = [this](const std::string& name) {
    return std::find(quarantined_.begin(), quarantined_.end(), name) != quarantined_.end();
  };
  std::string name = wanted.name;
  bool filter = true;  // as long as nobody knows better
  if (const auto bytes = app::read_module_file(wanted.file)) {
    const app::Inspection inspection = app::inspect(*bytes, wanted.file, services_.offer);
    if (name.empty()) name = inspection.name;
    filter = inspection.attributes.has(app::Attribute::pre_request) ||
             inspection.attributes.has(app::Attribute::post_request);
  } else if (name.empty()) {
    name = wanted.file.stem().string();
  }
  if (!has(name)) return false;
  log::warning("app {}: quarantined, so {} answers 503; 'sonicorn unquarantine {}' ends that", name,
               wanted.mount, name);
  router_.close(wanted.mount == "/" ? std::string() : wanted.mount, filter);
  return true;
}

bool Apps::load_one(const config::App& wanted, const std::filesystem::path& self) {
  app::Loaded loaded = app::load_app(wanted, config_, services_, copies_, self);
  if (loaded.app != nullptr && !router_.add(*loaded.app)) {
    loaded.reasons.push_back(core::host_error(
        "config.mount_taken",
        fmt::format("{} is taken by {}: give each app its own mount (/one=FILE /two=FILE)",
                    wanted.mount, router_.find(wanted.mount)->file().string())));
    loaded.app.reset();
  }
  for (const core::Error& reason : loaded.reasons) {
    log::error("{}{}refused: {}", wanted.where, wanted.where.empty() ? "" : ": ",
               with_path(wanted.file, reason.message));
  }
  if (loaded.app == nullptr) {
    if (failed_.empty()) failed_ = wanted.name.empty() ? wanted.file.stem().string() : wanted.name;
    return false;
  }
  apps_.push_back(std::move(loaded.app));
  return true;
}

bool Apps::load(const std::atomic<bool>& stop) {
  const std::filesystem::path self = process::own_executable();
  bool all_good = true;
  for (const config::App& wanted : config_.apps) {
    if (stop) return true;
    if (!is_quarantined(wanted) && !load_one(wanted, self)) all_good = false;
  }
  if (all_good || config_.skip_broken) return true;
  log::error("not serving: mend what is refused, or serve the others with --skip-broken");
  return false;
}

bool Apps::start(const std::atomic<bool>& stop) {
  for (const auto& app : apps_) {
    if (stop) return true;
    if (start_one(*app)) {
      started_.push_back(app.get());
    } else if (!config_.skip_broken) {
      return false;
    }
  }
  return true;
}

bool Apps::start_one(app::App& app) {
  const auto outcome_of = [](const auto& call) {
    std::promise<app::Outcome> told;
    call([&told](app::Outcome outcome) { told.set_value(std::move(outcome)); });
    return told.get_future().get();
  };
  app::Generation& generation = app.current();
  starting_ = &app;
  const app::Outcome started = outcome_of([&](auto done) { generation.start(std::move(done)); });
  starting_ = nullptr;
  if (!started.ok()) {
    drop(app, fmt::format("start {}", text_of(app, started)));
    return false;
  }
  const app::Outcome health = outcome_of([&](auto done) { generation.health(std::move(done)); });
  if (health.ok()) return true;
  drop(app, fmt::format("health {}", text_of(app, health)));
  // It has started, so it is shut down; with the others when the server ends for it.
  if (config_.skip_broken) {
    generation.shutdown({.reason = SONICORN_REASON_START_FAILED,
                         .signal_number = 0,
                         .deadline = std::chrono::steady_clock::now() + app::kLeastShutdown,
                         .message = {}},
                        [](const app::Outcome&) {});
  }
  return false;
}

void Apps::drop(app::App& app, const std::string& why) {
  router_.remove(app);
  if (failed_.empty()) failed_ = app.name();
  log::error("refused: {}: app {}: {}; mend its cause, or serve without the app (--skip-broken)",
             app.file().string(), app.name(), why);
}

void Apps::make_ready(std::function<void()> done) {
  const auto unready = std::make_shared<std::size_t>(started_.size());
  if (started_.empty()) return done();
  for (app::App* const app : started_) {
    app->current().ready(
        {.deadline = {}, .message = {}}, [this, app, unready, done](const app::Outcome& outcome) {
          asio::post(io_, [this, app, unready, done, outcome] {
            if (outcome.ok()) {
              app->set_ready();
              changed();
            } else {
              log::error("app {}: ready {}; the server does not report itself ready", app->name(),
                         text_of(*app, outcome));
            }
            if (--*unready == 0) done();
          });
        });
  }
}

void Apps::begin_serving(const std::string& message) {
  for (const app::App* const app : started_) {
    log::info("app {}: generation {} {}", app->name(), app->current().traits().number,
              what_it_does(app->current(), *app));
  }
  broadcast("ready", {.deadline = {}, .message = message});
  schedule_health();
}

bool Apps::are_ready(std::string& why_not) const {
  if (draining_) why_not = "the server is stopping";
  for (const app::App* const app : started_) {
    if (!why_not.empty()) break;
    if (!app->is_ready()) why_not = fmt::format("app {} is not ready", app->name());
    if (!app->is_healthy()) why_not = fmt::format("app {} is unhealthy", app->name());
    if (app->serving() == nullptr) why_not = fmt::format("app {} is drained", app->name());
  }
  return why_not.empty();
}

void Apps::schedule_health() {
  const bool any = std::any_of(started_.begin(), started_.end(), [](const app::App* app) {
    return app->current().attributes().health != nullptr;
  });
  if (!any || config_.lifecycle.health_interval.count() == 0) return;
  health_timer_.expires_after(config_.lifecycle.health_interval);
  health_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error || draining_) return;
    for (app::App* const app : started_) check_health(*app);
    schedule_health();
  });
}

void Apps::check_health(app::App& app) {
  if (app.current().attributes().health == nullptr) return;
  // Who has not answered yet is not asked again.
  if (std::find(asked_.begin(), asked_.end(), &app) != asked_.end()) return;
  asked_.push_back(&app);
  app.current().health([this, &app](const app::Outcome& outcome) {
    asio::post(io_, [this, &app, outcome] {
      std::erase(asked_, &app);
      on_health(app, outcome);
    });
  });
}

void Apps::on_health(app::App& app, const app::Outcome& outcome) {
  if (!outcome.called || outcome.ok() == app.is_healthy()) return;
  app.set_healthy(outcome.ok());
  changed();
  if (outcome.ok()) {
    log::info("app {}: healthy again", app.name());
  } else {
    log::error("app {}: unhealthy: health {}", app.name(), text_of(app, outcome));
  }
}

void Apps::broadcast(const std::string& action, const app::Occasion& why) {
  for (app::App* const app : started_) {
    app->current().on_event(SONICORN_SCOPE_SERVER, action, why);
  }
}

void Apps::reload_settings(const config::Config& fresh, const std::string& only,
                           const app::Occasion& why) {
  for (app::App* const app : started_) {
    if (!only.empty() && app->name() != only) continue;
    const auto wanted =
        std::find_if(fresh.apps.begin(), fresh.apps.end(), [&](const config::App& each) {
          return each.file.lexically_normal() == app->file().lexically_normal() &&
                 (each.mount == "/" ? "" : each.mount) == app->mount();
        });
    if (wanted == fresh.apps.end()) {
      log::warning(
          "app {}: the configuration has no app of this file and mount any more; it goes on until "
          "the server is restarted",
          app->name());
    } else if (wanted->settings != app->brought_settings()) {
      reload_settings_of(*app, wanted->settings, why);
    }
  }
  broadcast("reloaded", why);
}

void Apps::reload_settings_of(app::App& app, const std::string& settings, app::Occasion why) {
  if (app.current().attributes().reload == nullptr) {
    log::warning(
        "app {}: its settings changed, and it declares no reload to be told so: they take effect "
        "when the server is restarted",
        app.name());
    return;
  }
  why.message = settings;
  app.set_brought_settings(settings);
  app.current().reload_settings(
      std::move(why), [this, &app, settings](const app::Outcome& outcome) {
        asio::post(io_, [&app, settings, outcome] {
          if (!outcome.called) return;
          if (!outcome.ok()) {
            // Whoever overran may take them yet, so whatever is wanted next is news to it.
            if (app.brought_settings() == settings) {
              app.set_brought_settings(outcome.overdue ? std::string() : app.settings());
            }
            log::error("app {}: reload {}; it goes on with its former settings", app.name(),
                       text_of(app, outcome));
            return;
          }
          app.set_settings(settings);
          log::info("app {}: has taken its new settings", app.name());
        });
      });
}

void Apps::drain(const app::Occasion& why, std::function<void()> told,
                 std::function<void()> finished) {
  draining_ = true;
  health_timer_.cancel();
  broadcast("stopping", {.reason = why.reason,
                         .signal_number = why.signal_number,
                         .deadline = {},
                         .message = why.message});
  const auto untold = std::make_shared<std::size_t>(started_.size());
  const auto unfinished = std::make_shared<std::size_t>(started_.size());
  if (started_.empty()) {
    told();
    return finished();
  }
  for (app::App* const app : started_) {
    app->current().drain(
        why,
        [this, app, untold, told](const app::Outcome& outcome) {
          asio::post(io_, [app, untold, told, outcome] {
            if (outcome.result < 0 || outcome.overdue) {
              log::error("app {}: drain {}", app->name(), text_of(*app, outcome));
            }
            if (--*untold == 0) told();
          });
        },
        [this, unfinished, finished] {
          asio::post(io_, [unfinished, finished] {
            if (--*unfinished == 0) finished();
          });
        });
  }
}

app::App* Apps::find(const std::string& name) const {
  const auto found = std::find_if(started_.begin(), started_.end(),
                                  [&](const app::App* app) { return app->name() == name; });
  return found == started_.end() ? nullptr : *found;
}

void Apps::drain_one(const std::string& name, const app::Occasion& why,
                     std::function<void(std::string fault)> done) {
  app::App* const app = find(name);
  if (app == nullptr) return done(fmt::format("no app is named {}", name));
  if (draining_) return done("the server is stopping");
  if (app->serving() == nullptr) return done(fmt::format("app {} takes no requests already", name));
  log::info("app {}: drained; requests for it get a 503", name);
  app->stop_serving();
  changed();
  app->current().drain(
      why,
      [app](const app::Outcome& outcome) {
        if (outcome.result < 0 || outcome.overdue) {
          log::error("app {}: drain {}", app->name(), text_of(*app, outcome));
        }
      },
      [this, app, done = std::move(done)] {
        asio::post(io_, [app, done] {
          log::info("app {}: has finished draining", app->name());
          done({});
        });
      });
}

void Apps::quarantine(const std::string& name) {
  app::App* const app = find(name);
  if (app == nullptr || app->serving() == nullptr) return;
  log::warning("app {}: quarantined; requests for it get a 503", name);
  app->stop_serving();
  changed();
}

void Apps::shut_down(const app::Occasion& why, const std::function<bool(const app::App&)>& is_free,
                     std::function<void()> done) {
  for (const auto& app : apps_) {
    if (is_free(*app)) ending_.push_back(app.get());
  }
  if (ending_.empty()) return done();
  for (app::App* const app : std::vector<app::App*>(ending_)) {
    app->current().shutdown(why, [this, app, done](const app::Outcome& outcome) {
      asio::post(io_, [this, app, done, outcome] {
        const bool was_started = std::find(started_.begin(), started_.end(), app) != started_.end();
        if (outcome.called && !outcome.overdue) {
          log::info("app {}: shut down", app->name());
        } else if (was_started && !outcome.overdue) {
          log::info("app {}: ended; it declares no shutdown", app->name());
        }
        if (std::erase(ending_, app) != 0 && ending_.empty()) done();
      });
    });
  }
}

std::vector<app::App*> Apps::give_up_ending() {
  const auto waited_for = std::stable_partition(
      ending_.begin(), ending_.end(),
      [](const app::App* app) { return app->current().traits().overrun == config::Overrun::wait; });
  std::vector<app::App*> given_up(waited_for, ending_.end());
  ending_.erase(waited_for, ending_.end());
  return given_up;
}

bool Apps::any_stuck() const {
  return std::any_of(apps_.begin(), apps_.end(),
                     [](const auto& app) { return app->current().is_stuck(); });
}

}  // namespace sonicorn::worker
