#include <fmt/format.h>
#include <sonicorn/context.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "app/loader.hpp"
#include "app/manifest.hpp"
#include "app/unloading.hpp"
#include "core/log.hpp"
#include "core/version.hpp"
#include "process/message.hpp"
#include "supervisor/supervisor.hpp"

// What the operator sees and does.
namespace sonicorn::supervisor {
namespace {

using Json = nlohmann::json;
using std::chrono::milliseconds;

constexpr milliseconds kIdlePoll{50};

const char* name_of(WorkerProcess::State state) {
  switch (state) {
    case WorkerProcess::State::starting:
      return "starting";
    case WorkerProcess::State::prepared:
    case WorkerProcess::State::admitted:
      return "prepared";
    case WorkerProcess::State::serving:
      return "serving";
    case WorkerProcess::State::stopping:
      return "stopping";
  }
  return "";
}

double seconds_since(std::chrono::steady_clock::time_point then) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - then).count();
}

// What the app asked for in its manifest and what it was told.
Json negotiated(const std::vector<std::string>& wanted, const app::Offer& offer) {
  Json answers = Json::object();
  for (const std::string& id : wanted) {
    answers[id] = offer.has(id) ? "offered" : offer.is_withheld(id) ? "withheld" : "not offered";
  }
  return answers;
}

// What is known of an app without asking a worker.
Json facts_of(const Served& served, const app::Offer& offer) {
  Json facts = {{"name", served.name},
                {"file", served.wanted.file.string()},
                {"mount", served.wanted.mount},
                {"refused", served.build == nullptr}};
  if (served.build == nullptr) return facts;
  const app::Inspection& inspection = served.build->inspection;
  Json attributes = Json::array();
  for (std::size_t i = 0; i < app::kAttributeCount; ++i) {
    const auto attribute = static_cast<app::Attribute>(i);
    if (inspection.attributes.has(attribute)) attributes.push_back(app::name_of(attribute));
  }
  const std::string pin = app::predicted_pin(inspection);
  facts.update({{"version", inspection.version},
                {"abi", inspection.abi},
                {"build_id", inspection.build_id},
                {"generation", served.generation},
                {"attributes", attributes},
                {"requires", negotiated(inspection.requires_, offer)},
                {"uses", negotiated(inspection.uses, offer)},
                {"threads", app::name_of(inspection.threads)},
                {"blocking", inspection.blocking},
                {"overlap", app::name_of(inspection.overlap)},
                {"state_schema", inspection.state_schema},
                {"on_probation", served.on_probation},
                {"unloadable", pin.empty()}});
  if (!pin.empty()) facts["pinned_by"] = pin;
  return facts;
}

std::uint64_t sum(const Json& apps, const char* key) {
  std::uint64_t all = 0;
  if (!apps.is_array()) return 0;
  for (const Json& app : apps) all += app.value(key, std::uint64_t{0});
  return all;
}

}  // namespace

bool Supervisor::is_ready(std::string& why_not) const {
  if (stage_ == Stage::starting) why_not = "the server is starting";
  if (stage_ == Stage::stopping || stage_ == Stage::done) why_not = "the server is stopping";
  if (!why_not.empty()) return false;
  if (draining_) {
    why_not = "the server is draining";
    return false;
  }
  for (const auto& slot : slots_) {
    if (slot->current == nullptr || slot->current->state() != WorkerProcess::State::serving) {
      why_not = fmt::format("worker {} is being started again", slot->index);
    } else {
      why_not = slot->current->why_not_ready();
    }
    if (!why_not.empty()) return false;
  }
  if (!quarantine_.names().empty() && !config_.skip_broken) {
    why_not = fmt::format("app {} is quarantined", *quarantine_.names().begin());
  }
  return why_not.empty();
}

Json Supervisor::status() const {
  std::string why_not;
  const bool ready = is_ready(why_not);
  Json listening = Json::array();
  for (const worker::ListeningSocket& socket : sockets_) listening.push_back(socket.url());
  Json status = {
      {"pid", ::getpid()},
      {"version", core::kVersion},
      {"state", stage_ == Stage::starting  ? "starting"
                : stage_ == Stage::serving ? (draining_ ? "draining" : "serving")
                                           : "stopping"},
      {"ready", ready},
      {"uptime_seconds", seconds_since(started_)},
      {"workers", slots_.size()},
      {"restarts", restarts_},
      {"listening", listening},
      {"quarantined", quarantine_.names()},
  };
  if (!ready) status["why_not_ready"] = why_not;
  return status;
}

void Supervisor::ask_all(const char* what, Json more, milliseconds more_time,
                         std::function<void(std::vector<Said>)> done) {
  struct Round {
    std::size_t open = 1;
    std::vector<Said> said;
    std::function<void(std::vector<Said>)> done;
  };
  const auto round = std::make_shared<Round>();
  round->done = std::move(done);
  const auto close = [round] {
    if (--round->open == 0) round->done(std::move(round->said));
  };
  for (const auto& slot : slots_) {
    if (slot->current == nullptr || slot->current->state() == WorkerProcess::State::starting)
      continue;
    const std::size_t place = round->said.size();
    round->said.push_back({slot->index, slot->current->pid(), nullptr});
    ++round->open;
    slot->current->ask(what, more, more_time, [round, place, close](Json answer) {
      round->said[place].json = std::move(answer);
      close();
    });
  }
  close();
}

void Supervisor::workers(std::function<void(Json)> done) {
  ask_all("numbers", Json::object(), {}, [this, done = std::move(done)](std::vector<Said> said) {
    Json all = Json::array();
    const auto add = [&](const Slot* slot, const WorkerProcess& worker, bool leaving) {
      Json one = {{"worker", worker.index()},
                  {"pid", worker.pid()},
                  {"state", name_of(worker.state())},
                  {"leaving", leaving},
                  {"uptime_seconds", seconds_since(worker.started())},
                  {"resident_bytes", worker.resident_bytes()},
                  {"ready", worker.why_not_ready().empty()}};
      if (slot != nullptr) one["restarts"] = slot->restarts;
      for (const Said& each : said) {
        if (each.pid != worker.pid()) continue;
        one["requests"] = sum(each.json, "requests");
        one["errors"] = sum(each.json, "errors");
        one["in_flight"] = sum(each.json, "in_flight");
      }
      all.push_back(std::move(one));
    };
    for (const auto& slot : slots_) {
      if (slot->current != nullptr) {
        add(slot.get(), *slot->current, false);
      } else {
        all.push_back({{"worker", slot->index},
                       {"pid", nullptr},
                       {"state", "waiting"},
                       {"leaving", false},
                       {"ready", false},
                       {"restarts", slot->restarts}});
      }
      if (slot->successor != nullptr) add(slot.get(), *slot->successor, false);
    }
    for (const auto& worker : leaving_) add(nullptr, *worker, true);
    done(std::move(all));
  });
}

void Supervisor::apps(std::function<void(Json)> done) {
  ask_all("apps", Json::object(), {},
          [this, done = std::move(done)](const std::vector<Said>& said) {
            const app::Offer offer = app::offer_of(config_);
            Json apps = Json::array();
            for (const Served& served : served_) {
              apps.push_back(facts_of(served, offer));
              const auto retired = retired_.find(served.name);
              apps.back()["retired"] =
                  retired != retired_.end() ? Json(retired->second) : Json::array();
            }
            done(merge_apps(std::move(apps), said, quarantine_));
          });
}

void Supervisor::metrics(std::function<void(std::string)> done) {
  ask_all(
      "metrics", Json::object(), {}, [this, done = std::move(done)](const std::vector<Said>& said) {
        ask_all("numbers", Json::object(), {},
                [this, done, said](const std::vector<Said>& numbers) {
                  // Its own log loses lines, too, and so did those of workers that have ended.
                  std::vector<Said> all = said;
                  all.push_back(
                      {0, ::getpid(),
                       fmt::format("sonicorn_log_lines_dropped_total {}\n"
                                   "sonicorn_access_log_lines_dropped_total {}\n",
                                   core::log::dropped() + dropped_lines_, dropped_access_lines_)});
                  done(merge_metrics(all) + own_metrics(numbers));
                });
      });
}

std::string Supervisor::own_metrics(const std::vector<Said>& said) const {
  std::string text = fmt::format(
      "# HELP sonicorn_workers Workers that are to be.\n# TYPE sonicorn_workers gauge\n"
      "sonicorn_workers {}\n"
      "# HELP sonicorn_worker_restarts_total Workers that died and were started again.\n"
      "# TYPE sonicorn_worker_restarts_total counter\nsonicorn_worker_restarts_total {}\n",
      slots_.size(), restarts_);
  const auto family = [&](const char* name, const char* kind, const char* help, const char* key) {
    text += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, help, name, kind);
    for (const Said& each : said) {
      if (!each.json.is_array()) continue;
      for (const Json& app : each.json) {
        text += fmt::format("{}{{app=\"{}\",worker=\"{}\"}} {}\n", name,
                            app.value("name", std::string()), each.worker,
                            app.value(key, std::uint64_t{0}));
      }
    }
  };
  family("sonicorn_app_requests_total", "counter", "Calls of on_request, since the worker began.",
         "requests");
  family("sonicorn_app_errors_total", "counter", "Those that the app failed to answer.", "errors");
  family("sonicorn_app_in_flight", "gauge", "Requests that the app is working on.", "in_flight");
  text +=
      "# HELP sonicorn_app_crashes_total Workers that the app ended.\n"
      "# TYPE sonicorn_app_crashes_total counter\n";
  for (const auto& [app, crashes] : quarantine_.totals()) {
    text += fmt::format("sonicorn_app_crashes_total{{app=\"{}\"}} {}\n", app, crashes);
  }
  return text;
}

void Supervisor::drain(std::string app, Done done) {
  if (stage_ != Stage::serving) return done("the server is not serving");
  if (app.empty()) {
    draining_ = true;
    tell_status();
    return wait_until_idle(Clock::now() + config_.grace, std::move(done));
  }
  if (std::none_of(served_.begin(), served_.end(),
                   [&](const Served& served) { return served.name == app; })) {
    return done(no_such_app(app));
  }
  if (quarantine_.names().count(app) != 0) {
    return done(fmt::format("app {} is in quarantine, so it takes no requests already", app));
  }
  if (is_reloading(app)) {
    return done(fmt::format("app {} is being reloaded; drain it when that has ended", app));
  }
  drained_.insert(app);  // also for workers that are still to come
  ask_all("drain", {{"app", app}}, config_.grace,
          [done = std::move(done)](const std::vector<Said>& said) {
            for (const Said& each : said) {
              const std::string fault = each.json.is_string() ? each.json.get<std::string>()
                                                              : "it did not finish in time";
              if (!fault.empty()) return done(fmt::format("worker {}: {}", each.worker, fault));
            }
            done(said.empty() ? "no worker is serving" : "");
          });
}

// Whether another generation of the app is about to serve.
bool Supervisor::is_reloading(const std::string& app) const {
  return reload_ != nullptr &&
         std::any_of(reload_->apps.begin(), reload_->apps.end(), [&](const Reload::App& each) {
           return each.replaces && (each.next.name == app || each.old_name == app);
         });
}

void Supervisor::wait_until_idle(Clock::time_point deadline, Done done) {
  ask_all(
      "numbers", Json::object(), {},
      [this, deadline, done = std::move(done)](const std::vector<Said>& said) {
        std::uint64_t in_flight = 0;
        for (const Said& each : said) in_flight += sum(each.json, "in_flight");
        if (in_flight == 0) return done({});
        if (Clock::now() >= deadline) {
          return done(fmt::format("{} request(s) are in flight when the grace is over", in_flight));
        }
        const auto timer = std::make_shared<boost::asio::steady_timer>(io_, kIdlePoll);
        timer->async_wait([this, timer, deadline, done](const boost::system::error_code&) {
          wait_until_idle(deadline, done);
        });
      });
}

void Supervisor::stop(std::string message, Done done) {
  stop_waiters_.push_back(std::move(done));
  begin_stop(SONICORN_REASON_ADMIN_STOP, 0, message);
}

void Supervisor::restart_worker(std::optional<unsigned> index, Done done) {
  if (stage_ != Stage::serving) return done("the server is not serving");
  std::vector<unsigned> all;
  for (const auto& slot : slots_) {
    if (!index || slot->index == *index) all.push_back(slot->index);
  }
  if (all.empty()) {
    return done(
        fmt::format("there is no worker {}; the last one is {}", *index, slots_.back()->index));
  }
  struct Round {
    std::size_t open;
    std::string fault;
    Done done;
  };
  const auto round = std::make_shared<Round>(Round{all.size(), {}, std::move(done)});
  for (const unsigned each : all) {
    replace({each, SONICORN_REASON_ADMIN_STOP, "the operator asks for it",
             [round](const std::string& fault) {
               if (round->fault.empty()) round->fault = fault;
               if (--round->open == 0) round->done(round->fault);
             }});
  }
}

void Supervisor::unquarantine(const std::string& app, Done done) {
  if (std::none_of(served_.begin(), served_.end(),
                   [&](const Served& served) { return served.name == app; })) {
    return done(no_such_app(app));
  }
  if (!quarantine_.release(app)) return done(fmt::format("app {} is not in quarantine", app));
  restart_worker(std::nullopt, [this, app, done = std::move(done)](const std::string& fault) {
    if (fault.empty()) {
      tell_status();
      return done({});
    }
    quarantine_.confine_again(app);
    tell_status();
    // Some may run it already. What answers a question has dealt with what it was told before.
    each_worker([&](WorkerProcess& worker) {
      worker.send(process::message::kQuarantine, {{"app", app}});
    });
    ask_all("numbers", Json::object(), {},
            [fault, done](const std::vector<Said>&) { done(fault); });
  });
}

}  // namespace sonicorn::supervisor
