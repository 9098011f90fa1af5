#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sonicorn/context.h>
#include <sys/wait.h>

#include <algorithm>
#include <utility>

#include "app/signal_guard.hpp"
#include "core/crash_report.hpp"
#include "core/log.hpp"
#include "process/message.hpp"
#include "process/run.hpp"
#include "supervisor/supervisor.hpp"

// What the supervisor makes of the end of a worker: whom it tells, whom it blames, what comes next.
namespace sonicorn::supervisor {

namespace log = core::log;
namespace message = process::message;

namespace {

using Json = nlohmann::json;
using std::chrono::milliseconds;

constexpr milliseconds kNaming{10'000};  // of functions, with much debug information

// "ended by SIGSEGV", "ended with status 3".
std::string text_of(int wait_status) {
  if (WIFSIGNALED(wait_status)) {
    return fmt::format("was ended by {}", app::signal_name(WTERMSIG(wait_status)));
  }
  return fmt::format("ended with status {}", WEXITSTATUS(wait_status));
}

bool is_clean(int wait_status) { return WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0; }

}  // namespace

void Supervisor::on_ended(WorkerProcess& worker, WorkerProcess::End end) {
  forget_lives(worker);
  sort_end(worker, end);
  tell_health();
  if (reload_ != nullptr && reload_->waits) prepare_workers();
}

void Supervisor::sort_end(WorkerProcess& worker, const WorkerProcess::End& end) {
  if (Slot* const slot = slot_of(worker)) {
    if (slot->current.get() == &worker) {
      return on_current_ended(*slot, std::move(slot->current), end);
    }
    return on_successor_ended(*slot, std::move(slot->successor), end);
  }
  const auto found = std::find_if(leaving_.begin(), leaving_.end(),
                                  [&](const auto& each) { return each.get() == &worker; });
  if (found == leaving_.end()) return;
  std::unique_ptr<WorkerProcess> leaver = std::move(*found);
  leaving_.erase(found);
  on_leaver_ended(std::move(leaver), end);
}

void Supervisor::on_current_ended(Slot& slot, std::unique_ptr<WorkerProcess> worker,
                                  const WorkerProcess::End& end) {
  if (stage_ == Stage::stopping) return on_leaver_ended(std::move(worker), end);
  // Before somebody is blamed: what was served before is served again.
  const bool was_tried = reload_ != nullptr && reload_->before && worker->edition() == edition_;
  if (was_tried) {
    on_tried(fmt::format("worker {} did not come up with it; the log says why", slot.index));
  }
  const std::string app = note_death(*worker, end, !was_tried);
  if (stage_ == Stage::starting) {
    // Where broken apps are skipped, one that crashes in the start is.
    if (config_.skip_broken && !app.empty()) {
      log::error("app {}: it ended a worker that was starting, so it is quarantined", app);
      quarantine_.confine(app);
      worker.reset();
      each_worker([&](WorkerProcess& other) { other.send(message::kQuarantine, {{"app", app}}); });
      return start_again(slot);
    }
    // Who did not crash has said so itself.
    if (!app.empty() && !end.last_words.empty()) {
      log::error("not serving: mend app {}, or serve the others with --skip-broken", app);
    }
    if (app.empty() && !worker->has_said_why()) {
      std::vector<std::string> names;
      for (const Served& served : served_) names.push_back(served.name);
      log::error(
          "not serving: the process ended while its apps started, as _exit() by an app does; look "
          "into {}, one at a time where there are several",
          fmt::join(names, ", "));
    }
    status_ = 1;
    worker.reset();
    return begin_stop(SONICORN_REASON_START_FAILED, 0, {});
  }
  // Whom the kernel told of a connection that the dead one did not take, may look for it now.
  each_worker([](WorkerProcess& other) { other.send(message::kLook); });
  slot.lived = Clock::now() - worker->started();
  if (slot.successor != nullptr || slot.spawning) return;
  start_again(slot);
  // It was the one to come up for another that had died.
  if (is_replacing(slot.index)) {
    replaced(fmt::format("worker {} did not come up; the log says why", slot.index));
  }
}

void Supervisor::on_successor_ended(Slot& slot, std::unique_ptr<WorkerProcess> worker,
                                    const WorkerProcess::End& end) {
  if (stage_ == Stage::stopping) return on_leaver_ended(std::move(worker), end);
  // While another one serves in its place, nothing that is served has ended a worker.
  note_death(*worker, end, slot.current == nullptr);
  slot.lived = {};
  if (slot.current == nullptr) {
    start_again(slot);
  } else {
    try_again(slot);
  }
  if (is_replacing(slot.index)) {
    replaced(
        fmt::format("the successor of worker {} did not come up; the log says why", slot.index));
  }
}

// A wish that a worker itself had, after a while.
void Supervisor::try_again(Slot& slot) {
  if (!is_replacing(slot.index) || to_replace_.front().done != nullptr) return;
  slot.timer.expires_after(slot.backoff.after({}, chance_));
  slot.timer.async_wait(
      [this, again = to_replace_.front()](const boost::system::error_code& error) {
        if (!error) replace(again);
      });
}

void Supervisor::on_leaver_ended(std::unique_ptr<WorkerProcess> worker,
                                 const WorkerProcess::End& end) {
  // An app may call exit(0) where others wait for their shutdown.
  const bool clean = is_clean(end.wait_status) && end.last_words.empty() && worker->has_finished();
  if (!clean) {
    note_death(*worker, end, !end.last_words.empty());
  } else {
    tell_of_end(*worker, end);
  }
  const bool was_awaited = worker.get() == awaited_;
  if (stage_ == Stage::stopping) {
    if (!clean && status_ == 0) status_ = 1;
    // It was told twice, and so all end at once.
    if (stop_signal_ != 0 && WIFEXITED(end.wait_status) && WEXITSTATUS(end.wait_status) > 128) {
      status_ = WEXITSTATUS(end.wait_status);
      each_worker([](WorkerProcess& other) { other.kill(); });
    }
    worker.reset();
    return end_if_stopped();
  }
  if (clean) log::info("worker {} (pid {}) has ended", worker->index(), worker->pid());
  each_worker([](WorkerProcess& other) { other.send(message::kLook); });
  if (was_awaited) replaced({});
}

// The result is the app that is to blame; empty when none is known. `counts`: as one of what
// serves.
std::string Supervisor::note_death(const WorkerProcess& worker, const WorkerProcess::End& end,
                                   bool counts) {
  // Of a worker that could not start, its own errors are the last word.
  const bool told =
      stage_ == Stage::starting && WIFEXITED(end.wait_status) && worker.has_said_why();
  std::string app = worker.blamed();
  std::uint64_t generation = worker.blamed_generation();
  std::string how = text_of(end.wait_status);
  if (const auto report = core::parse_crash_report(end.last_words)) {
    log::error("{}", core::summary(*report));
    print_backtrace(*report, end.last_words);
    if (!report->app.empty()) {
      app = report->app;
      generation = report->generation;
      how += fmt::format(" in {}", report->what);
    }
  }
  if (!told) {
    log::error("worker {} (pid {}) {}{}", worker.index(), worker.pid(), text_of(end.wait_status),
               is_clean(end.wait_status) && !worker.has_finished()
                   ? " before its apps had ended, as exit() by an app does"
                   : "");
    if (end.last_words.empty() && !worker.step().empty()) {
      log::error("worker {}: {} had begun and not returned; look there for what ended the process",
                 worker.index(), worker.step());
    }
  }
  tell_of_end(worker, end);
  journal_.note({.event = "worker_ended",
                 .app = app,
                 .worker = worker.index(),
                 .generation = generation,
                 .build_id = {}},
                Journal::failed(how));
  if (counts && !app.empty() && stage_ == Stage::serving && is_served(app, generation)) {
    on_probation_failed(app, "it ended a worker");
    if (quarantine_.note(app, Clock::now())) quarantine(app);
  }
  return app;
}

// A child looks up the names, for that takes memory and trust in the app's file.
void Supervisor::print_backtrace(const core::CrashReport& report,
                                 const std::vector<std::byte>& record) {
  const auto print = [who = report.app.empty() ? fmt::format("process {}", report.process)
                                               : "app " + report.app](std::string_view line) {
    log::error("{}: crashed at {}", who, line);
  };
  process::RunRequest request;
  request.file = process::own_executable();
  request.argv = {"sonicorn", "crash-report"};
  request.input.assign(reinterpret_cast<const char*>(record.data()), record.size());
  request.limit = kNaming;
  // The server does not end before.
  ++names_looked_up_;
  process::run(io_, children_, std::move(request),
               [this, print, plain = core::plain_frames(report)](const process::RunEnd& end) {
                 if (!end.ok()) {
                   for (const std::string& line : core::to_lines(plain)) print(line);
                 }
                 std::string_view rest = end.ok() ? end.output : std::string_view();
                 while (!rest.empty()) {
                   const std::size_t size = std::min(rest.find('\n'), rest.size());
                   print(rest.substr(0, size));
                   rest.remove_prefix(std::min(size + 1, rest.size()));
                 }
                 --names_looked_up_;
                 end_if_stopped();
               });
}

void Supervisor::tell_of_end(const WorkerProcess& worker, const WorkerProcess::End& end) {
  Json context = {{"worker", worker.index()}, {"worker_pid", worker.pid()}};
  if (WIFSIGNALED(end.wait_status)) {
    context["signal"] = app::signal_name(WTERMSIG(end.wait_status));
  } else {
    context["status"] = WEXITSTATUS(end.wait_status);
  }
  if (const auto report = core::parse_crash_report(end.last_words)) {
    context["crash"] = {{"app", report->app},
                        {"generation", report->generation},
                        {"attribute", report->what},
                        {"signal", report->signal != 0 ? app::signal_name(report->signal) : "exit"},
                        {"summary", core::summary(*report)}};
  }
  tell(config::Hook::worker_exit, std::move(context));
}

}  // namespace sonicorn::supervisor
