#include <fmt/format.h>
#include <sonicorn/context.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "core/log.hpp"
#include "process/message.hpp"
#include "supervisor/supervisor.hpp"

// How what is served is changed: in all workers, or in none.
namespace sonicorn::supervisor {

namespace log = core::log;
namespace message = process::message;

namespace {

using Json = nlohmann::json;
using std::chrono::milliseconds;

std::string joined(const std::vector<std::string>& faults) {
  return fmt::format("{}", fmt::join(faults, "; "));
}

}  // namespace

void Supervisor::wish(ReloadWish wanted) {
  const auto refuse = [&](const std::string& why) {
    log::info("nothing is reloaded: {}", why);
    for (const auto& done : wanted.done) done({{"ok", false}, {"error", why}});
  };
  if (stage_ == Stage::stopping || stage_ == Stage::done) {
    return refuse("the server is stopping");
  }
  // One that has not begun stands for all of its kind.
  for (ReloadWish& each : wishes_) {
    if (each.only != wanted.only || each.always != wanted.always ||
        each.rollback != wanted.rollback || each.forced != wanted.forced ||
        each.message != wanted.message) {
      continue;
    }
    for (auto& done : wanted.done) each.done.push_back(std::move(done));
    return;
  }
  wishes_.push_back(std::move(wanted));
  next_reload();
}

void Supervisor::watch_files() {
  if (stage_ != Stage::serving) return;
  if (!config_.reload.automatic) return file_watch_.stop();
  std::vector<FileWatch::Watched> files;
  for (const Served& served : served_) {
    files.push_back({served.wanted.file,
                     served.build != nullptr ? served.build->copy : std::filesystem::path()});
  }
  file_watch_.watch(files);
}

void Supervisor::on_file_changed(const std::filesystem::path& file) {
  for (const Served& served : served_) {
    if (served.wanted.file != file) continue;
    log::info("app {}: {} has changed", served.name, file.string());
    return wish(
        {.only = served.name, .reason = SONICORN_REASON_FILE_CHANGED, .message = {}, .done = {}});
  }
}

// One after the other, and not while a worker is exchanged for another.
void Supervisor::next_reload() {
  if (reload_ != nullptr || wishes_.empty() || replacing_ || stage_ != Stage::serving) return;
  reload_ = std::make_unique<Reload>();
  reload_->wish = std::move(wishes_.front());
  wishes_.pop_front();
  notifier_.reloading();
  if (const std::string fault = plan_reload(); !fault.empty()) {
    reload_->faults.push_back(fault);
    return end_reload();
  }
  make_builds();
}

milliseconds Supervisor::reload_limit() const {
  const auto replaced = std::count_if(reload_->apps.begin(), reload_->apps.end(),
                                      [](const Reload::App& app) { return app.replaces; });
  const config::Lifecycle& times = config_.lifecycle;
  return (times.start_time + times.health_time + 4 * times.call_time + config_.load_time) *
             static_cast<int>(replaced + 1) +
         config_.reload.hold_time;
}

// Asks those that serve now, who are the ones that take part. `done` is called once, at the first
// fault or when all have answered well.
void Supervisor::ask_reloading(const char* what, Json more,
                               std::function<void(std::string fault)> done) {
  const auto open = std::make_shared<std::size_t>(1);
  const auto over = std::make_shared<bool>(false);
  const auto on_answer = [open, over, done](std::string fault) {
    if (*over || (--*open != 0 && fault.empty())) return;
    *over = true;
    done(std::move(fault));
  };
  each_worker([&](WorkerProcess& worker) {
    if (!takes_part(worker)) return;
    ++*open;
    worker.ask(what, more, reload_limit(), [on_answer, index = worker.index()](const Json& answer) {
      if (answer.is_null()) return on_answer(fmt::format("worker {} did not answer", index));
      std::string fault = answer.is_string() ? answer.get<std::string>() : "";
      on_answer(fault.empty() ? fault : fmt::format("worker {}: {}", index, fault));
    });
  });
  on_answer({});
}

// Tells those that take part what was decided. `done` is called when all have done it. One that
// does not answer is ended, for it may serve something else than the others; the next one in its
// place begins with what is served.
void Supervisor::tell_reloading(const char* what, std::function<void()> done) {
  const auto open = std::make_shared<std::size_t>(1);
  const auto on_answer = [open, done = std::move(done)] {
    if (--*open == 0) done();
  };
  each_worker([&](WorkerProcess& worker) {
    if (!takes_part(worker)) return;
    ++*open;
    worker.ask(what, Json::object(), reload_limit(),
               [this, on_answer, pid = worker.pid(), index = worker.index()](const Json& answer) {
                 if (!answer.is_string()) {
                   end_astray(pid);
                 } else if (const auto fault = answer.get<std::string>(); !fault.empty()) {
                   reload_->faults.push_back(fmt::format("worker {}: {}", index, fault));
                 }
                 on_answer();
               });
  });
  on_answer();
}

void Supervisor::end_astray(pid_t pid) {
  each_worker([pid](WorkerProcess& worker) {
    if (worker.pid() != pid || worker.has_ended()) return;
    log::error("worker {} (pid {}) did not answer whether it follows a reload; it is ended",
               worker.index(), pid);
    worker.kill();
  });
}

bool Supervisor::takes_part(const WorkerProcess& worker) const {
  const std::vector<pid_t>& all = reload_->workers;
  return std::find(all.begin(), all.end(), worker.pid()) != all.end();
}

void Supervisor::prepare_workers() {
  Json apps = Json::array();
  for (std::size_t i = 0; i < reload_->apps.size(); ++i) {
    const Reload::App& app = reload_->apps[i];
    Json one = {{"index", i},
                {"replaces", app.replaces},
                {"alone", app.alone},
                {"generation", app.next.generation},
                {"spare_generation", app.spare_generation},
                {"settings", app.next.wanted.settings}};
    if (app.replaces) one["build"] = app::describe(*app.next.build);
    if (app.spare != nullptr) one["spare"] = app::describe(*app.spare);
    apps.push_back(std::move(one));
  }
  for (const auto& slot : slots_) {
    if (slot->current != nullptr && slot->current->state() == WorkerProcess::State::serving) {
      reload_->workers.push_back(slot->current->pid());
    }
  }
  const ReloadWish& wish = reload_->wish;
  ask_reloading("prepare",
                {{"text", reload_->text},
                 {"apps", std::move(apps)},
                 {"reason", wish.reason},
                 {"signal", wish.signal},
                 {"message", wish.message}},
                [this](const std::string& fault) {
                  if (!fault.empty()) return drop_reload(fault);
                  const bool alone = std::any_of(reload_->apps.begin(), reload_->apps.end(),
                                                 [](const Reload::App& app) { return app.alone; });
                  if (!alone) return commit_reload();
                  reload_->exchanging = true;
                  ask_reloading("exchange", Json::object(), [this](const std::string& why) {
                    why.empty() ? commit_reload() : drop_reload(why);
                  });
                });
}

void Supervisor::drop_reload(const std::string& fault) {
  reload_->faults.push_back(fault);
  tell_reloading("drop", [this] {
    // Where the old build had ended already, it serves anew.
    for (const Reload::App& app : reload_->apps) {
      if (app.spare == nullptr || !reload_->exchanging) continue;
      for (Served& served : served_) {
        if (!is_same(served.wanted, app.next.wanted)) continue;
        served.generation = app.spare_generation;
        served.build = app.spare;
      }
    }
    end_reload();
  });
}

// From here on whoever starts, starts with the new builds.
void Supervisor::commit_reload() {
  if (stage_ != Stage::serving) return drop_reload("the server is stopping");
  Reload& reload = *reload_;
  reload.committed = true;
  const unsigned workers_before = config_.workers.count;
  if (reload.config.binds != config_.binds) {
    log::warning(
        "the addresses to listen on changed; they take effect when the server is restarted");
  }
  config_ = reload.config;
  order_.text = reload.text;
  std::vector<Served> served;
  for (Reload::App& app : reload.apps) {
    if (app.replaces) {
      const bool keeps = !reload.wish.rollback && config_.reload.probation.count() != 0;
      app.next.previous = keeps ? app.old : nullptr;
      app.next.on_probation = app.next.previous != nullptr;
      app.next.switched = Clock::now();
      journal_.note({.event = reload.wish.rollback ? "rollback" : "switch",
                     .app = app.next.name,
                     .worker = {},
                     .generation = app.next.generation,
                     .build_id = app.next.build->inspection.build_id});
      quarantine_.release(app.next.name);
    }
    served.push_back(app.next);
  }
  served_ = std::move(served);
  hooks_.replace(config_.hooks);
  tell_reloading("commit", [this, workers_before] {
    end_reload();
    if (config_.workers.count != workers_before) set_workers(config_.workers.count);
  });
}

Json Supervisor::result_of(const Reload& reload) const {
  const double took =
      std::chrono::duration<double, std::milli>(Clock::now() - reload.begun).count();
  Json result = {{"ok", reload.committed && reload.faults.empty()}, {"took_ms", took}};
  if (!reload.faults.empty()) result["error"] = joined(reload.faults);
  if (!reload.committed) return result;
  Json apps = Json::array();
  for (const Reload::App& app : reload.apps) {
    if (!app.replaces) continue;
    Json one = {{"app", app.next.name},
                {"generation", app.next.generation},
                {"build_id", app.next.build->inspection.build_id},
                {"before", nullptr}};
    if (app.old != nullptr) {
      one["before"] = {{"generation", app.old_generation},
                       {"build_id", app.old->inspection.build_id}};
    }
    for (const Json& state : reload.states) {
      if (state.value("app", std::string()) == app.next.name) one["state"] = state["state"];
    }
    apps.push_back(std::move(one));
  }
  result["apps"] = std::move(apps);
  return result;
}

void Supervisor::end_reload() {
  const std::unique_ptr<Reload> over = std::move(reload_);
  const Json result = result_of(*over);
  if (!over->committed) {
    journal_.note({.event = "reload", .app = over->wish.only, .worker = {}, .build_id = {}},
                  Journal::failed(joined(over->faults)));
    log::error("nothing was reloaded: {}", joined(over->faults));
  } else {
    for (const Json& app : result["apps"]) {
      log::info("app {}: generation {} serves (build {})", app["app"].get<std::string>(),
                app["generation"].get<std::uint64_t>(), app["build_id"].get<std::string>());
    }
    for (const std::string& fault : over->faults) log::error("{}", fault);
  }
  // Who was starting meanwhile has waited, and has the builds of before.
  each_worker([&](WorkerProcess& worker) {
    const bool waits = worker.state() == WorkerProcess::State::starting ||
                       worker.state() == WorkerProcess::State::prepared;
    const auto& all = over->workers;
    if (!waits || std::find(all.begin(), all.end(), worker.pid()) != all.end()) return;
    if (over->committed) {
      worker.outdate();
    } else if (worker.state() == WorkerProcess::State::prepared) {
      worker.serve();
    }
  });
  tell(config::Hook::on_reload,
       {{"ok", result["ok"]}, {"reason", name_of_reason(over->wish.reason)}});
  if (stage_ == Stage::serving) notifier_.ready("serving, after a reload");
  for (const auto& done : over->wish.done) done(result);
  watch_probation();
  watch_files();
  replace_next();
  next_reload();
}

void Supervisor::reload(std::string app, bool forced, std::function<void(Json)> done) {
  if (stage_ != Stage::serving)
    return done({{"ok", false}, {"error", "the server is not serving"}});
  wish({.only = std::move(app),
        .always = true,
        .forced = forced,
        .reason = SONICORN_REASON_RELOAD,
        .message = {},
        .done = {std::move(done)}});
}

void Supervisor::rollback(std::string app, std::function<void(Json)> done) {
  wish({.only = std::move(app),
        .rollback = true,
        .reason = SONICORN_REASON_ROLLBACK,
        .message = {},
        .done = {std::move(done)}});
}

void Supervisor::commit(const std::string& app, Done done) {
  bool found = false;
  for (Served& served : served_) {
    if (served.name != app) continue;
    found = true;
    served.previous = nullptr;
    served.on_probation = false;
    journal_.note({.event = "commit",
                   .app = app,
                   .worker = {},
                   .generation = served.generation,
                   .build_id = {}});
  }
  done(found ? "" : fmt::format("no app is named {}", app));
}

}  // namespace sonicorn::supervisor
