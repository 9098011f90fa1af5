#include "worker/apps.hpp"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <filesystem>
#include <future>
#include <utility>

#include "app/loader.hpp"
#include "core/log.hpp"

namespace sonicorn::worker {

namespace asio = boost::asio;
namespace log = core::log;

namespace {

std::string mount_text(const app::App& app) { return app.mount().empty() ? "/" : app.mount(); }

std::string what_it_does(const app::Generation& generation, const app::App& app) {
  if (generation.handles_requests()) return fmt::format("serves {}", mount_text(app));
  if (generation.filters_requests()) return fmt::format("filters {}", mount_text(app));
  return "runs, and answers no requests";
}

// "failed (-1, generation 1): no database", "declined (1, ...", "did not return within its time".
std::string text_of(std::uint64_t generation, const app::Outcome& outcome) {
  if (outcome.overdue) {
    return fmt::format("did not return within its time (generation {})", generation);
  }
  return fmt::format("{} ({}, generation {}): {}", outcome.result > 0 ? "declined" : "failed",
                     outcome.result, generation,
                     outcome.error.empty() ? "it gave no text (sonicorn_fail)" : outcome.error);
}

}  // namespace

Apps::Apps(config::Config config, app::Services& services, Traffic& traffic,
           std::vector<std::string> quarantined, asio::io_context& io)
    : config_(std::move(config)),
      services_(services),
      traffic_(traffic),
      io_(io),
      health_timer_(io),
      quarantined_(std::move(quarantined)) {
  if (!config_.health_path.empty()) router_->keep_for_health(config_.health_path);
}

// Whether the app's code is not to be run; its mount is closed then.
bool Apps::is_quarantined(const config::App& wanted, const app::Inspection& inspection) {
  const std::string name = app::name_of(wanted, inspection);
  if (std::find(quarantined_.begin(), quarantined_.end(), name) == quarantined_.end()) return false;
  log::warning("app {}: quarantined, so {} answers 503; 'sonicorn unquarantine {}' ends that", name,
               wanted.mount, name);
  closed_.push_back(
      {app::mount_of(wanted), inspection.attributes.has(app::Attribute::pre_request) ||
                                  inspection.attributes.has(app::Attribute::post_request)});
  router_->close(closed_.back());
  return true;
}

// A mount that is taken is found out before the load, for not all code can be unloaded.
core::Result<std::unique_ptr<app::Generation>> Apps::load_for_mount(const Wanted& each) {
  const config::App& wanted = config_.apps.at(each.index);
  const app::App* const other = router_->handler_at(app::mount_of(wanted));
  if (other != nullptr && each.build.inspection.attributes.has(app::Attribute::on_request)) {
    return core::host_error(
        "config.mount_taken",
        fmt::format("{} is taken by {}: give each app its own mount (/one=FILE /two=FILE)",
                    wanted.mount, other->file().string()));
  }
  return app::load_generation(wanted, config_, services_, each.build, each.generation);
}

bool Apps::load_one(const Wanted& each) {
  const config::App& wanted = config_.apps.at(each.index);
  auto generation = load_for_mount(each);
  if (!generation) {
    log::error("{}{}refused: {}", wanted.where, wanted.where.empty() ? "" : ": ",
               app::with_path(wanted.file, generation.error().message));
    if (failed_.empty()) failed_ = app::name_of(wanted, each.build.inspection);
    return false;
  }
  apps_.push_back(app::make_app(wanted, config_, each.build, std::move(*generation)));
  router_->add(*apps_.back());
  return true;
}

bool Apps::load(const std::vector<Wanted>& wanted, const std::atomic<bool>& stop) {
  bool all_good = true;
  for (const Wanted& each : wanted) {
    if (stop) return true;
    if (is_quarantined(config_.apps.at(each.index), each.build.inspection)) continue;
    if (!load_one(each)) all_good = false;
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
    drop(app, fmt::format("start {}", text_of(generation.traits().number, started)));
    return false;
  }
  const app::Outcome health = outcome_of([&](auto done) { generation.health(std::move(done)); });
  if (health.ok()) return true;
  drop(app, fmt::format("health {}", text_of(generation.traits().number, health)));
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
  router_->remove(app);
  if (failed_.empty()) failed_ = app.name();
  log::error("refused: {}: app {}: {}; mend its cause, or serve without the app (--skip-broken)",
             app.file().string(), app.name(), why);
}

void Apps::make_ready(std::function<void()> done) {
  const auto unready = std::make_shared<std::size_t>(started_.size());
  if (started_.empty()) return done();
  for (app::App* const app : started_) {
    ready_app(*app, [unready, done](const std::string&) {
      if (--*unready == 0) done();
    });
  }
}

void Apps::ready_app(app::App& app, std::function<void(std::string fault)> done) {
  const std::uint64_t generation = app.current().traits().number;
  app.current().ready(
      {.deadline = {}, .message = {}},
      [this, &app, generation, done = std::move(done)](const app::Outcome& outcome) {
        asio::post(io_, [this, &app, generation, done, outcome] {
          if (outcome.ok()) {
            if (app.has_generation() && app.current().traits().number == generation) {
              app.set_ready();
            }
            changed();
            return done({});
          }
          std::string fault =
              fmt::format("app {}: ready {}", app.name(), text_of(generation, outcome));
          log::error("{}; the server does not report itself ready", fault);
          done(std::move(fault));
        });
      });
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
    if (app->serving() == nullptr) {
      why_not =
          fmt::format("app {} is {}", app->name(), app->is_confined() ? "quarantined" : "drained");
    }
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
  app::Generation& generation = app.current();
  if (generation.attributes().health == nullptr) return;
  // Who has not answered yet is not asked again.
  if (std::find(asked_.begin(), asked_.end(), &generation) != asked_.end()) return;
  asked_.push_back(&generation);
  generation.health([this, asked = &generation, name = app.name(),
                     number = generation.traits().number](const app::Outcome& outcome) {
    asio::post(io_, [this, asked, name, number, outcome] {
      std::erase(asked_, asked);
      on_health(name, number, outcome);
    });
  });
}

void Apps::on_health(const std::string& name, std::uint64_t generation,
                     const app::Outcome& outcome) {
  app::App* const app = find(name);
  if (app == nullptr || app->current().traits().number != generation) return;
  if (!outcome.called || outcome.ok() == app->is_healthy()) return;
  app->set_healthy(outcome.ok());
  changed();
  if (outcome.ok()) {
    log::info("app {}: healthy again", app->name());
  } else {
    log::error("app {}: unhealthy: health {}", app->name(), text_of(generation, outcome));
  }
}

void Apps::broadcast(const std::string& action, const app::Occasion& why) {
  for (app::App* const app : started_) {
    app->current().on_event(SONICORN_SCOPE_SERVER, action, why);
  }
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
              log::error("app {}: drain {}", app->name(),
                         text_of(app->current().traits().number, outcome));
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

app::App* Apps::find(const config::App& wanted) const {
  const auto found = std::find_if(started_.begin(), started_.end(), [&](const app::App* app) {
    return app->file().lexically_normal() == wanted.file.lexically_normal() &&
           app->mount() == app::mount_of(wanted) &&
           (wanted.name.empty() || wanted.name == app->name()) &&
           wanted.body.value_or(config_.limits.body) == app->body_limit();
  });
  return found == started_.end() ? nullptr : *found;
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
  const auto open = std::make_shared<int>(2);  // its word, and its last request
  const auto one_done = [app, open, done = std::move(done)] {
    if (--*open != 0) return;
    log::info("app {}: has finished draining", app->name());
    done({});
  };
  traffic_.when_left(app->current(), one_done);
  app->current().drain(
      why,
      // On another thread, when another generation may be the current one, or none.
      [name, generation = app->current().traits().number](const app::Outcome& outcome) {
        if (outcome.result < 0 || outcome.overdue) {
          log::error("app {}: drain {}", name, text_of(generation, outcome));
        }
      },
      [this, one_done] { asio::post(io_, one_done); });
}

void Apps::quarantine(const std::string& name) {
  app::App* const app = find(name);
  if (app == nullptr || app->is_confined()) return;
  log::warning("app {}: quarantined; requests for it get a 503", name);
  app->confine();
  // Those that wait for it, too.
  traffic_.resume();
  changed();
}

}  // namespace sonicorn::worker
