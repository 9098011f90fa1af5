#include <fmt/format.h>
#include <sonicorn/context.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <memory>
#include <utility>

#include "core/log.hpp"
#include "process/message.hpp"
#include "supervisor/configuration_change.hpp"
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

milliseconds Supervisor::reload_limit() const {
  const auto replaced = std::count_if(reload_->apps.begin(), reload_->apps.end(),
                                      [](const Reload::App& app) { return app.replaces; });
  const config::Lifecycle& times = config_.lifecycle;
  return (times.start_time + times.health_time + 4 * times.call_time + config_.load_time) *
             static_cast<int>(replaced + 1) +
         config_.reload.hold_time;
}

// Asks some of those that take part. `done` is called once, at the first fault or when all have
// answered well.
void Supervisor::ask_reloading(const std::vector<pid_t>& whom, const char* what, const Json& more,
                               std::function<void(std::string fault)> done) {
  for (const pid_t pid : whom) {
    if (worker_of(pid) != nullptr) continue;
    std::string fault = fault_of_silence(pid);
    if (fault.empty()) continue;
    return boost::asio::post(io_, [this, done = std::move(done), fault = std::move(fault)] {
      if (reload_ != nullptr) done(fault);
    });
  }
  const auto open = std::make_shared<std::size_t>(1);
  const auto over = std::make_shared<bool>(false);
  const auto on_answer = [open, over, done](std::string fault) {
    if (*over || (--*open != 0 && fault.empty())) return;
    *over = true;
    done(std::move(fault));
  };
  for (const pid_t pid : whom) {
    WorkerProcess* const worker = worker_of(pid);
    if (worker == nullptr) continue;
    ++*open;
    worker->ask(what, more, reload_limit(),
                [this, on_answer, pid, index = worker->index()](const Json& answer) {
                  if (answer.is_null()) return on_answer(fault_of_silence(pid));
                  const std::string fault = answer.is_string() ? answer.get<std::string>() : "";
                  on_answer(fault.empty() ? fault : fmt::format("worker {}: {}", index, fault));
                });
  }
  on_answer({});
}

WorkerProcess* Supervisor::worker_of(pid_t pid) const {
  WorkerProcess* found = nullptr;
  each_worker([&](WorkerProcess& worker) {
    if (worker.pid() == pid) found = &worker;
  });
  return found;
}

// Of one that takes part and has given no answer.
std::string Supervisor::fault_of_silence(pid_t pid) {
  // What is left because it fails may fail a worker before it is left: the next one in its place
  // begins with what is returned to.
  if (reload_ != nullptr && reload_->wish.rollback) {
    end_astray(pid);
    return {};
  }
  const WorkerProcess* const worker = worker_of(pid);
  if (worker == nullptr) return fmt::format("the worker with pid {} has ended", pid);
  if (!worker->has_ended()) return fmt::format("worker {} did not answer", worker->index());
  return worker->epitaph().empty() ? fmt::format("worker {} has ended", worker->index())
                                   : worker->epitaph();
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
                   // The next one in the place of one that has ended begins with what is served.
                   if (end_astray(pid)) {
                     reload_->faults.push_back(
                         fmt::format("worker {} did not answer whether it follows", index));
                   }
                 } else if (const auto fault = answer.get<std::string>(); !fault.empty()) {
                   reload_->faults.push_back(fmt::format("worker {}: {}", index, fault));
                 }
                 on_answer();
               });
  });
  on_answer();
}

// False when it has ended by itself.
bool Supervisor::end_astray(pid_t pid) {
  WorkerProcess* const worker = worker_of(pid);
  if (worker == nullptr || worker->has_ended()) return false;
  log::error("worker {} (pid {}) did not answer whether it follows a reload; it is ended",
             worker->index(), pid);
  worker->kill();
  return true;
}

bool Supervisor::takes_part(const WorkerProcess& worker) const {
  const std::vector<pid_t>& all = reload_->workers;
  return std::find(all.begin(), all.end(), worker.pid()) != all.end();
}

void Supervisor::prepare_workers() {
  if (stage_ != Stage::serving) {
    reload_->faults.emplace_back("the server is stopping");
    return end_reload();
  }
  reload_->waits = std::any_of(slots_.begin(), slots_.end(), [](const auto& slot) {
    return slot->current != nullptr && slot->current->state() == WorkerProcess::State::admitted;
  });
  if (reload_->waits) return;
  reload_->chosen = true;
  Json apps = Json::array();
  for (std::size_t i = 0; i < reload_->apps.size(); ++i) {
    const Reload::App& app = reload_->apps[i];
    Json one = {{"index", i},
                {"replaces", app.replaces},
                {"alone", app.alone},
                {"generation", app.next.generation},
                {"spare_generation", app.spare_generation},
                {"settings", app.next.wanted.settings}};
    if (app.replaces) one["build"] = app::describe(*app.next.build, app.next.name);
    if (app.spare != nullptr) one["spare"] = app::describe(*app.spare, app.old_name);
    apps.push_back(std::move(one));
  }
  for (const auto& slot : slots_) {
    if (slot->current != nullptr && slot->current->state() == WorkerProcess::State::serving) {
      reload_->workers.push_back(slot->current->pid());
    }
  }
  if (reload_->workers.empty()) return try_with_new_workers();
  const ReloadWish& wish = reload_->wish;
  const std::vector<pid_t>& all = reload_->workers;
  // A build whose start ends its process is to end one.
  prepare_in({all.front()}, {all.begin() + 1, all.end()},
             {{"text", reload_->text},
              {"apps", std::move(apps)},
              {"reason", wish.reason},
              {"signal", wish.signal},
              {"message", wish.message}});
}

void Supervisor::prepare_in(const std::vector<pid_t>& first, const std::vector<pid_t>& rest,
                            const Json& message) {
  ask_reloading(first, "prepare", message, [this, rest, message](const std::string& fault) {
    if (!fault.empty()) return drop_reload(fault);
    rest.empty() ? on_all_prepared() : prepare_in(rest, {}, message);
  });
}

void Supervisor::on_all_prepared() {
  const bool alone = std::any_of(reload_->apps.begin(), reload_->apps.end(),
                                 [](const Reload::App& app) { return app.alone; });
  if (!alone) return commit_reload();
  reload_->exchanging = true;
  ask_reloading(reload_->workers, "exchange", Json::object(), [this](const std::string& fault) {
    fault.empty() ? commit_reload() : drop_reload(fault);
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
        served.former = served.generation;
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
  take_over();
  note_switches();
  tell_reloading("commit", [this] { end_reload(); });
}

void Supervisor::note_switches() {
  for (const Reload::App& app : reload_->apps) {
    if (!app.replaces) continue;
    journal_.note({.event = reload_->wish.rollback ? "rollback" : "switch",
                   .app = app.next.name,
                   .worker = {},
                   .generation = app.next.generation,
                   .build_id = app.next.build->inspection.build_id});
  }
}

// What is served is what the reload wants.
void Supervisor::take_over() {
  Reload& reload = *reload_;
  reload.committed = true;
  ++edition_;
  if (reload.config.workers.count != config_.workers.count) {
    workers_to_be_ = reload.config.workers.count;
  }
  reload.renews_workers = !asks_the_same_of_workers(reload.config, config_);
  tell_what_waits(config_, reload.config);
  config_ = reload.config;
  order_.text = reload.text;
  std::vector<Served> served;
  for (Reload::App& app : reload.apps) {
    if (app.replaces) {
      const bool keeps = !reload.wish.rollback && config_.reload.probation.count() != 0;
      app.next.previous = keeps ? app.old : nullptr;
      app.next.on_probation = app.next.previous != nullptr;
      app.next.switched = Clock::now();
      app.next.former = 0;
      quarantine_.release(app.next.name);
      drained_.erase(app.next.name);
    } else if (const auto now = std::find_if(
                   served_.begin(), served_.end(),
                   [&](const Served& each) { return is_same(each.wanted, app.next.wanted); });
               now != served_.end()) {
      // Its probation may have ended since the reload was planned.
      app.next.previous = now->previous;
      app.next.on_probation = now->on_probation;
    }
    served.push_back(app.next);
  }
  served_ = std::move(served);
  each_worker([&](WorkerProcess& worker) {
    if (takes_part(worker)) worker.set_edition(edition_);
  });
}

// Nobody serves who could say yes, so the first worker that comes up with it does.
void Supervisor::try_with_new_workers() {
  reload_->before = Reload::Before{order_.text, config_, served_, drained_, quarantine_};
  take_over();
  follow_edition();
  for (const auto& slot : slots_) {
    slot->timer.cancel();
    if (slot->current == nullptr) spawn(*slot, Place::current);
  }
}

void Supervisor::on_tried(const std::string& fault) {
  Reload::Before before = *std::exchange(reload_->before, std::nullopt);
  if (!fault.empty()) {
    reload_->faults.push_back(fault);
    reload_->committed = false;
    order_.text = std::move(before.text);
    config_ = std::move(before.config);
    served_ = std::move(before.served);
    drained_ = std::move(before.drained);
    quarantine_ = std::move(before.quarantine);
    workers_to_be_.reset();
    ++edition_;
  } else {
    note_switches();
  }
  end_reload();
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
    const bool returns = over->wish.rollback;
    journal_.note({.event = returns ? "rollback" : "reload",
                   .app = over->wish.only,
                   .worker = {},
                   .build_id = {}},
                  Journal::failed(joined(over->faults)));
    log::error("nothing was {}: {}", returns ? "rolled back" : "reloaded", joined(over->faults));
  } else {
    for (const Json& app : result["apps"]) {
      log::info("app {}: generation {} serves (build {})", app["app"].get<std::string>(),
                app["generation"].get<std::uint64_t>(), app["build_id"].get<std::string>());
    }
    for (const std::string& fault : over->faults) log::error("{}", fault);
  }
  follow_edition();
  tell(config::Hook::on_reload,
       {{"ok", result["ok"]}, {"reason", name_of_reason(over->wish.reason)}});
  if (stage_ == Stage::serving) {
    const std::string fault = joined(over->faults);
    notifier_.ready(fault.empty() ? status_text()
                                  : status_text() + "; the last reload failed: " + fault);
  }
  for (const auto& done : over->wish.done) done(result);
  if (over->committed) {
    hooks_.replace(config_.hooks);
    apply_limits(*over);
  }
  if (workers_to_be_) set_workers(*std::exchange(workers_to_be_, std::nullopt));
  watch_probation();
  watch_files();
  replace_next();
  next_reload();
}

// Who was starting during a reload has waited: it serves what is served, or another one takes its
// place. Not while the reload goes on.
void Supervisor::follow_edition() {
  if (stage_ != Stage::serving) return;
  for (const auto& slot : slots_) {
    for (const Place place : {Place::current, Place::successor}) {
      auto& worker = place == Place::current ? slot->current : slot->successor;
      if (worker == nullptr) continue;
      const bool is_prepared = worker->state() == WorkerProcess::State::prepared;
      if (!is_prepared && worker->state() != WorkerProcess::State::starting) continue;
      if (worker->edition() != edition_) {
        retire(std::move(worker), SONICORN_REASON_RELOAD, "it began with what was served before");
        spawn(*slot, place);
      } else if (is_prepared && reload_ == nullptr) {
        admit(*worker);
      }
    }
  }
}

}  // namespace sonicorn::supervisor
