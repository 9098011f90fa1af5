#include "worker/replacement.hpp"

#include <fmt/format.h>
#include <sonicorn/attributes.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <future>
#include <utility>

#include "app/loader.hpp"
#include "core/log.hpp"
#include "core/own_thread.hpp"

namespace sonicorn::worker {

namespace asio = boost::asio;
namespace log = core::log;

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr milliseconds kLook{20};  // at whether the server wants to stop
// Whoever is stuck in an earlier call does not hear of its shutdown.
constexpr milliseconds kLateness{500};

// "failed (-1, generation 1): no database", "did not return within its time (generation 1)".
std::string text_of(const app::Generation& generation, const app::Outcome& outcome) {
  const std::uint64_t number = generation.traits().number;
  if (outcome.overdue) return fmt::format("did not return within its time (generation {})", number);
  return fmt::format("{} ({}, generation {}): {}", outcome.result > 0 ? "declined" : "failed",
                     outcome.result, number,
                     outcome.error.empty() ? "it gave no text (sonicorn_fail)" : outcome.error);
}

}  // namespace

struct Replacement::Work {
  Part part;
  const config::App* wanted = nullptr;
  app::App* existing = nullptr;  // null: the app is new
  std::unique_ptr<app::Generation> candidate;
  bool started = false;         // the candidate's start returned OK
  bool asked = false;           // the old generation agreed to be replaced
  bool settings_taken = false;  // the old generation has taken new settings
  std::string settings_before;
  bool held = false;     // its requests wait; else it served none before
  bool emptied = false;  // the old generation has ended
  bool stuck = false;    // or should have, but does not return from a call
  std::optional<app::SavedState> saved;
  // The old generation's drain has had its time, so no other call may get its turn.
  std::shared_ptr<std::atomic<bool>> hangs = std::make_shared<std::atomic<bool>>(false);
};

Replacement::Replacement(Apps& apps, app::Services& services, Traffic& traffic,
                         asio::io_context& io, config::Config config, std::vector<Part> parts,
                         app::Occasion why)
    : apps_(apps),
      services_(services),
      traffic_(traffic),
      io_(io),
      config_(std::move(config)),
      why_(std::move(why)) {
  for (Part& part : parts) {
    auto work = std::make_unique<Work>();
    work->wanted = &config_.apps.at(part.index);
    work->existing = apps_.find(*work->wanted);
    work->part = std::move(part);
    works_.push_back(std::move(work));
  }
}

Replacement::~Replacement() {
  if (thread_.joinable()) thread_.join();
  for (const auto& work : works_) {
    if (work->candidate != nullptr) apps_.keep(std::move(work->candidate));
  }
}

// Runs what may block on a thread of its own.
void Replacement::run(std::function<std::string()> task, Done done) {
  thread_ = core::start_own_thread([this, task = std::move(task), done = std::move(done)] {
    std::string fault;
    try {
      fault = task();
    } catch (const std::exception& error) {
      fault = fmt::format("the server failed: {}", error.what());
    }
    asio::post(io_, [this, fault, done] {
      thread_.join();
      done(fault);
    });
  });
}

void Replacement::give_up() {
  given_up_ = true;
  if (interrupt_) std::exchange(interrupt_, nullptr)();
}

void Replacement::stop() {
  stopping_ = true;
  give_up();
}

// Waits for a lifecycle call, while `has_patience` says so.
template <class Call, class Patience>
app::Outcome Replacement::outcome_of(const Call& call, Patience has_patience) {
  const auto told = std::make_shared<std::promise<app::Outcome>>();
  call([told](app::Outcome outcome) { told->set_value(std::move(outcome)); });
  auto future = told->get_future();
  while (future.wait_for(kLook) != std::future_status::ready) {
    if (!has_patience()) return {.error = {}, .overdue = true, .called = true};
  }
  return future.get();
}

template <class Call>
app::Outcome Replacement::outcome_of(const Call& call) {
  return outcome_of(call, [this] { return !given_up_; });
}

void Replacement::prepare(Done done) {
  if (std::string fault = conflict(); !fault.empty()) return done(std::move(fault));
  run([this] { return prepare_all(); }, std::move(done));
}

// Two handlers on one mount.
std::string Replacement::conflict() const {
  std::vector<std::pair<std::string, const Work*>> taken;
  for (const auto& work : works_) {
    const bool handles =
        work->part.build
            ? work->part.build->inspection.attributes.has(app::Attribute::on_request)
            : work->existing != nullptr && work->existing->current().handles_requests();
    if (!handles) continue;
    const std::string mount = app::mount_of(*work->wanted);
    const auto same = std::find_if(taken.begin(), taken.end(),
                                   [&](const auto& each) { return each.first == mount; });
    if (same != taken.end()) {
      return fmt::format("{}{}{} is taken by {}: give each app its own mount", work->wanted->where,
                         work->wanted->where.empty() ? "" : ": ", work->wanted->mount,
                         same->second->wanted->file.string());
    }
    taken.emplace_back(mount, work.get());
  }
  return {};
}

std::string Replacement::prepare_all() {
  for (const auto& work : works_) {
    if (given_up_) return "it is not wanted any more";
    if (std::string fault = prepare_one(*work); !fault.empty()) return fault;
  }
  return {};
}

std::string Replacement::prepare_one(Work& work) {
  if (std::string fault = ask(work); !fault.empty()) return fault;
  if (!work.part.build) return {};
  auto generation = app::load_generation(*work.wanted, config_, services_, *work.part.build,
                                         work.part.generation);
  if (!generation) {
    return fmt::format("{}: {}", work.wanted->file.string(), generation.error().message);
  }
  work.candidate = std::move(*generation);
  if (work.existing == nullptr || !work.part.alone) return bring_up(*work.candidate, work);
  return {};
}

// The generation that serves takes new settings, or agrees to be replaced.
std::string Replacement::ask(Work& work) {
  if (work.existing == nullptr) return {};
  app::App& app = *work.existing;
  app::Generation& serving = app.current();
  if (work.part.replaces) {
    const app::Outcome outcome = outcome_of(
        [&](auto done) { serving.reload(SONICORN_RELOAD_PREPARE, why_, std::move(done)); });
    work.asked = outcome.called && outcome.ok();
    if (!outcome.called || outcome.ok()) return {};
    return fmt::format("app {}: it does not agree to be replaced: reload {}", app.name(),
                       text_of(serving, outcome));
  }
  if (work.wanted->settings == app.brought_settings()) return {};
  app::Occasion why = why_;
  why.message = work.wanted->settings;
  work.settings_before = app.settings();
  const app::Outcome outcome = outcome_of([&](auto done) {
    serving.reload(SONICORN_RELOAD_SETTINGS, std::move(why), std::move(done));
  });
  if (outcome.ok()) {
    work.settings_taken = outcome.called;
    return {};
  }
  return fmt::format("app {}: reload {}; it goes on with its former settings", app.name(),
                     text_of(serving, outcome));
}

// From loaded to ready for requests.
std::string Replacement::bring_up(app::Generation& generation, Work& work) {
  const auto fault = [&](const char* what, const app::Outcome& outcome) {
    return fmt::format("app {}: {} {}", generation.name(), what, text_of(generation, outcome));
  };
  const app::Outcome start = outcome_of([&](auto done) { generation.start(std::move(done)); });
  if (!start.ok()) return fault("start", start);
  work.started = true;
  if (work.saved) hand_over(work);
  const app::Outcome health = outcome_of([&](auto done) { generation.health(std::move(done)); });
  return health.ok() ? std::string() : fault("health", health);
}

void Replacement::hand_over(Work& work) {
  app::Generation& generation = *work.candidate;
  std::string state;
  if (generation.attributes().load_state == nullptr) {
    state = "declined: the new build declares no load_state";
  } else {
    const app::Outcome outcome =
        outcome_of([&](auto done) { generation.load_state(*work.saved, std::move(done)); });
    state = outcome.ok() ? "handed over" : "declined: load_state " + text_of(generation, outcome);
  }
  if (state != "handed over") {
    log::warning(
        "app {}: generation {} begins afresh, for the state {} of the one before it was {}",
        generation.name(), generation.traits().number, work.saved->schema, state);
  }
  states_.push_back({{"app", generation.name()}, {"schema", work.saved->schema}, {"state", state}});
}

void Replacement::exchange(Done done) {
  // From here on requests of these apps wait.
  for (const auto& work : works_) {
    if (work->existing == nullptr || !work->part.alone || work->candidate == nullptr) continue;
    work->held = work->existing->serving() != nullptr;
    if (work->held) work->existing->hold();
  }
  when_alone(0, Clock::now() + config_.reload.hold_time, std::move(done));
}

// Lets the requests of each old generation end, one app after the other.
void Replacement::when_alone(std::size_t next, Clock::time_point deadline, Done done) {
  while (next < works_.size() && !(works_[next]->existing != nullptr && works_[next]->part.alone)) {
    ++next;
  }
  interrupt_ = nullptr;
  if (next == works_.size()) return run([this] { return exchange_all(); }, std::move(done));
  app::App& app = *works_[next]->existing;
  struct Wait {
    bool over = false;
    asio::steady_timer timer;
  };
  const auto wait = std::make_shared<Wait>(Wait{false, asio::steady_timer(io_, deadline)});
  interrupt_ = [this, wait, done] {
    if (std::exchange(wait->over, true)) return;
    wait->timer.cancel();
    asio::post(io_, [done] { done("it is not wanted any more"); });
  };
  app::Occasion why = why_;
  why.deadline = deadline;
  app.current().drain(
      why, [hangs = works_[next]->hangs](const app::Outcome& outcome) { *hangs = outcome.overdue; },
      [] {});
  wait->timer.async_wait([wait, &app, done](const boost::system::error_code& error) {
    if (error || std::exchange(wait->over, true)) return;
    done(
        fmt::format("app {}: its requests did not end within hold_time, and no two generations of "
                    "it may run at once",
                    app.name()));
  });
  traffic_.when_left(app.current(), [this, wait, next, deadline, done] {
    if (std::exchange(wait->over, true)) return;
    wait->timer.cancel();
    when_alone(next + 1, deadline, done);
  });
}

std::string Replacement::exchange_all() {
  for (const auto& work : works_) {
    if (work->existing == nullptr || !work->part.alone) continue;
    if (std::string fault = exchange_one(*work); !fault.empty()) return fault;
  }
  return {};
}

std::string Replacement::exchange_one(Work& work) {
  if (given_up_) return "it is not wanted any more";
  app::Generation& old = work.existing->current();
  const auto saved = std::make_shared<std::optional<app::SavedState>>();
  const app::Outcome save = outcome_of(
      [&](auto done) {
        old.save_state(
            [saved, done](const app::Outcome& outcome, std::optional<app::SavedState> state) {
              *saved = std::move(state);
              done(outcome);
            });
      },
      [&] { return !given_up_ && !*work.hangs; });
  if (save.overdue && *work.hangs) {
    return fmt::format(
        "app {}: save_state of generation {} could not be called, for its drain did not return",
        old.name(), old.traits().number);
  }
  if (save.result < 0 || save.overdue) {
    return fmt::format("app {}: save_state {}", old.name(), text_of(old, save));
  }
  work.saved = std::move(*saved);
  app::Occasion why = why_;
  why.deadline = Clock::now() + app::kLeastShutdown;
  // Until then no other generation may run. Once begun, the call has its own deadline; until then
  // the call before may be stuck.
  const auto latest = why.deadline + kLateness;
  const app::Outcome shutdown =
      outcome_of([&](auto done) { old.shutdown(why, std::move(done)); },
                 [&] { return old.has_ended() || (!given_up_ && Clock::now() < latest); });
  work.emptied = true;
  if (shutdown.overdue) {
    work.stuck = true;
    return fmt::format("app {}: shutdown of generation {} {}", old.name(), old.traits().number,
                       old.has_ended() ? "did not return in its time"
                                       : "could not be called, for the call before did not return");
  }
  return bring_up(*work.candidate, work);
}

void Replacement::commit(Done done, Retired retired) {
  std::vector<app::App*> order;
  std::vector<std::unique_ptr<app::App>> fresh;
  std::vector<std::unique_ptr<app::Generation>> old;
  std::vector<app::App*> begun;
  for (const auto& work : works_) {
    app::App* app = work->existing;
    if (work->candidate != nullptr && app == nullptr) {
      fresh.push_back(
          app::make_app(*work->wanted, config_, *work->part.build, std::move(work->candidate)));
      app = fresh.back().get();
      begun.push_back(app);
    } else if (work->candidate != nullptr) {
      app->release();
      old.push_back(app->switch_to(std::move(work->candidate), work->part.build->inspection));
      app->resume();
      begun.push_back(app);
    }
    if (app == nullptr) continue;
    if (work->settings_taken) log::info("app {}: has taken its new settings", app->name());
    app->set_settings(work->wanted->settings);
    app->set_brought_settings(work->wanted->settings);
    order.push_back(app);
  }
  const auto unready = std::make_shared<std::size_t>(begun.size() + 1);
  const auto first_fault = std::make_shared<std::string>();
  const auto one_ready = [unready, first_fault, done](const std::string& fault) {
    if (first_fault->empty()) *first_fault = fault;
    if (--*unready == 0) done(*first_fault);
  };
  const std::vector<app::App*> gone = apps_.serve(std::move(fresh), order, config_);
  traffic_.resume();
  for (app::App* const app : gone) {
    // Requests that have found it may still begin.
    app::Generation& last = app->current();
    traffic_.when_left(last, [&apps = apps_, why = why_, app, retired] {
      std::unique_ptr<app::Generation> taken = app->switch_to(nullptr);
      const std::uint64_t number = taken->traits().number;
      apps.retire(std::move(taken), why, [retired, name = app->name(), number](auto unloading) {
        retired(name, number, unloading);
      });
    });
  }
  for (app::App* const app : begun) apps_.ready_app(*app, one_ready);
  for (auto& each : old) {
    const std::string name = each->name();
    const std::uint64_t number = each->traits().number;
    apps_.retire(std::move(each), why_,
                 [retired, name, number](auto unloading) { retired(name, number, unloading); });
  }
  apps_.broadcast("reloaded", why_);
  apps_.changed();
  one_ready({});
}

void Replacement::drop(Done done) {
  if (!stopping_) given_up_ = false;
  run(
      [this] {
        std::string fault;
        for (const auto& work : works_) {
          if (work->emptied) {
            std::string gone = work->stuck ? leave_stuck(*work) : return_to_spare(*work);
            if (fault.empty()) fault = std::move(gone);
          }
          end_candidate(*work);
          // Who is about to be shut down need not know.
          if (work->existing == nullptr || stopping_) continue;
          const auto tell = [&](std::uint32_t phase, const std::string& message) {
            app::Occasion why = why_;
            why.message = message;
            work->existing->current().reload(phase, why, [](const app::Outcome&) {});
          };
          if (work->asked && !work->emptied) tell(SONICORN_RELOAD_ABORTED, why_.message);
          if (work->settings_taken) tell(SONICORN_RELOAD_SETTINGS, work->settings_before);
        }
        return fault;
      },
      [this, done = std::move(done)](const std::string& fault) {
        for (const auto& work : works_) {
          if (work->existing != nullptr && work->existing->is_holding()) work->existing->resume();
        }
        traffic_.resume();
        done(fault);
      });
}

// The candidate has never served; whoever started it is owed a shutdown.
void Replacement::end_candidate(Work& work) {
  if (work.candidate == nullptr) return;
  app::Occasion why = why_;
  why.deadline = Clock::now() + app::kLeastShutdown;
  const auto latest = why.deadline + kLateness;
  const app::Outcome outcome =
      outcome_of([&](auto done) { work.candidate->shutdown(why, std::move(done)); },
                 [&] { return !given_up_ && Clock::now() < latest; });
  services_.watchdog.settle();
  if (outcome.overdue || work.candidate->is_stuck()) return;  // kept until the process ends
  static_cast<void>(app::Generation::retire(std::move(work.candidate)));
}

// No generation of the app may run beside the one that does not end.
std::string Replacement::leave_stuck(Work& work) {
  end_candidate(work);
  return close(work, fmt::format("app {}: no other generation may run beside the one that does not "
                                 "end",
                                 work.existing->name()));
}

// Requests of the app are answered with a 503 from now on. The result is the fault.
std::string Replacement::close(Work& work, std::string fault) {
  std::promise<void> closed;
  asio::post(io_, [&] {
    work.existing->stop_serving();
    apps_.changed();
    closed.set_value();
  });
  closed.get_future().wait();
  log::error("{}", fault);
  return fault;
}

// The old build, loaded and started once more with what its last generation saved. The result is a
// fault: then no generation of the app can serve.
std::string Replacement::return_to_spare(Work& work) {
  app::App& app = *work.existing;
  end_candidate(work);
  if (work.candidate != nullptr) {
    return close(work, fmt::format("app {}: no other generation may run beside the one that does "
                                   "not end",
                                   app.name()));
  }
  given_up_ = false;
  std::string fault;
  if (auto generation = app::load_generation(*work.wanted, config_, services_, *work.part.spare,
                                             work.part.spare_generation)) {
    work.candidate = std::move(*generation);
    fault = bring_up(*work.candidate, work);
  } else {
    fault = fmt::format("app {}: {}", app.name(), generation.error().message);
  }
  if (!fault.empty()) return close(work, "the build before does not come up again: " + fault);
  std::promise<void> switched;
  asio::post(io_, [&] {
    std::unique_ptr<app::Generation> ended =
        app.switch_to(std::move(work.candidate), work.part.spare->inspection);
    if (!work.held) app.stop_serving();
    app.set_ready();
    apps_.retire(std::move(ended), why_, [](const app::Unloading&) {});
    switched.set_value();
  });
  switched.get_future().wait();
  return {};
}

}  // namespace sonicorn::worker
