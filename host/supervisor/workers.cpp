#include <sonicorn/capability/control.h>
#include <sonicorn/context.h>

#include <algorithm>
#include <cstdio>
#include <utility>

#include "core/log.hpp"
#include "process/message.hpp"
#include "supervisor/supervisor.hpp"

// How the supervisor starts workers, hears from them and replaces them.
namespace sonicorn::supervisor {

namespace log = core::log;
namespace message = process::message;

namespace {

using Json = nlohmann::json;
using std::chrono::milliseconds;

// What a worker takes to end beyond the grace: the last calls into apps have their own deadlines.
constexpr milliseconds kEnding{8'000};
// A worker answers questions beside those that it asks its apps.
constexpr milliseconds kAnswer{3'000};

// Of each app, how many ends of generations are told of.
constexpr std::size_t kRetiredKept = 10;

bool may_take_for_ever(const config::Config& config) {
  return std::any_of(config.apps.begin(), config.apps.end(), [&](const config::App& app) {
    return app.overrun.value_or(config.lifecycle.overrun) == config::Overrun::wait;
  });
}

}  // namespace

std::unique_ptr<WorkerProcess> Supervisor::start_worker(Slot& slot) {
  Json sockets = Json::array();
  WorkerProcess::Setup setup{.index = slot.index,
                             .start = {},
                             .descriptors = {},
                             .edition = edition_,
                             .answer_time = config_.lifecycle.call_time + kAnswer};
  for (const worker::ListeningSocket& socket : sockets_) {
    sockets.push_back({{"fd", socket.descriptor()}, {"url", socket.url()}});
    setup.descriptors.push_back(socket.descriptor());
  }
  setup.start = {{"index", slot.index},           {"flags", config::to_json(order_.flags)},
                 {"text", order_.text},           {"sockets", std::move(sockets)},
                 {"builds", builds_of_workers()}, {"quarantined", quarantine_.names()}};
  auto started = WorkerProcess::start(
      io_, children_, setup,
      {[this](WorkerProcess& worker, const Json& said) { on_message(worker, said); },
       [this](WorkerProcess& worker, WorkerProcess::End end) { on_ended(worker, std::move(end)); },
       [this](const WorkerProcess& worker, const char* why) {
         tell(config::Hook::worker_abort,
              {{"worker", worker.index()}, {"worker_pid", worker.pid()}, {"reason", why}});
       }});
  if (!started) {
    log::error("worker {} cannot be started: {}", slot.index, started.error().message);
    return nullptr;
  }
  allow_requests(slot);
  log::debug("worker {} started (pid {})", slot.index, (*started)->pid());
  return std::move(*started);
}

void Supervisor::allow_requests(Slot& slot) {
  slot.requests_allowed = config_.workers.max_requests;
  if (slot.requests_allowed != 0 && config_.workers.max_requests_jitter != 0) {
    slot.requests_allowed += std::uniform_int_distribution<std::uint64_t>(
        0, config_.workers.max_requests_jitter)(chance_);
  }
}

// Once the operator's hook has agreed.
void Supervisor::spawn(Slot& slot, Place place) {
  if (std::exchange(slot.spawning, true)) return;
  hooks_.run(config::Hook::pre_spawn, {{"worker", slot.index}},
             [this, index = slot.index, place](bool ok) {
               // The place may be gone meanwhile.
               if (Slot* const found = slot_at(index)) on_spawn_allowed(*found, place, ok);
             });
}

void Supervisor::on_spawn_allowed(Slot& slot, Place place, bool ok) {
  slot.spawning = false;
  if (stage_ == Stage::stopping || stage_ == Stage::done) return;
  std::unique_ptr<WorkerProcess>& into = place == Place::current ? slot.current : slot.successor;
  if (into != nullptr) return;
  if (ok) into = start_worker(slot);
  if (into == nullptr) return on_spawn_failed(slot);
  tell(config::Hook::post_spawn, {{"worker", slot.index}, {"worker_pid", into->pid()}});
}

void Supervisor::on_spawn_failed(Slot& slot) {
  if (stage_ == Stage::starting) {
    status_ = 1;
    return begin_stop(SONICORN_REASON_START_FAILED, 0, {});
  }
  if (slot.current == nullptr) {
    if (reload_ != nullptr && reload_->before) {
      on_tried(fmt::format("worker {} cannot be started; the log says why", slot.index));
    }
    start_again(slot);
  } else {
    try_again(slot);
  }
  if (is_replacing(slot.index)) {
    replaced(fmt::format("worker {} cannot be started; the log says why", slot.index));
  }
}

// After a while, which is longer with every death.
void Supervisor::start_again(Slot& slot) {
  ++slot.restarts;
  ++restarts_;
  const auto wait = slot.backoff.after(slot.lived, chance_);
  log::info("worker {} is started again in {} ms", slot.index, wait.count());
  quarantine_.leave_out(wait / static_cast<int>(std::max<std::size_t>(slots_.size(), 1)));
  slot.timer.expires_after(wait);
  slot.timer.async_wait([this, index = slot.index](const boost::system::error_code& error) {
    // The place may be gone meanwhile.
    Slot* const found = slot_at(index);
    if (error || found == nullptr || found->current != nullptr) return;
    found->lived = {};
    spawn(*found, Place::current);
  });
}

Supervisor::Slot* Supervisor::slot_at(unsigned index) {
  const auto found = std::find_if(slots_.begin(), slots_.end(),
                                  [&](const auto& slot) { return slot->index == index; });
  return found == slots_.end() ? nullptr : found->get();
}

Supervisor::Slot* Supervisor::slot_of(const WorkerProcess& worker) {
  for (const auto& slot : slots_) {
    if (slot->current.get() == &worker || slot->successor.get() == &worker) return slot.get();
  }
  return nullptr;
}

milliseconds Supervisor::stop_limit() const {
  return may_take_for_ever(config_) ? milliseconds(0) : config_.grace + kEnding;
}

void Supervisor::on_message(WorkerProcess& worker, const Json& said) {
  const std::string what = said.value("say", std::string());
  if (what == message::kPrepared) {
    on_prepared(worker);
  } else if (what == message::kServing) {
    on_serving(worker);
  } else if (what == message::kFailed) {
    worker.blame(said.value("app", std::string()), said.value("generation", std::uint64_t{0}));
  } else if (what == message::kDropped) {
    dropped_lines_ += said.value("lines", std::uint64_t{0});
    dropped_access_lines_ += said.value("access_lines", std::uint64_t{0});
  } else if (what == message::kLife) {
    on_life(worker, said);
  } else if (what == message::kRetired) {
    Json retired = said;
    retired.erase("say");
    retired.erase("app");
    retired["worker"] = worker.index();
    auto& all = retired_[said.value("app", std::string())];
    all.push_back(std::move(retired));
    if (all.size() > kRetiredKept) all.erase(all.begin());
  } else if (what == message::kState) {
    if (reload_ != nullptr) reload_->states.push_back(said);
  } else if (what == message::kControl) {
    on_control(said);
  } else if (what == message::kReplace) {
    const std::string app = said.value("app", std::string());
    if (!app.empty() && stage_ == Stage::serving &&
        is_served(app, said.value("generation", std::uint64_t{0})) &&
        quarantine_.note(app, Clock::now())) {
      quarantine(app);
    }
    if (slot_of(worker) == nullptr) return;
    replace(
        {worker.index(), SONICORN_REASON_ADMIN_STOP, said.value("why", std::string()), nullptr});
  }
}

// All workers begin to accept together, when every app of each is ready; one that comes later, at
// once.
void Supervisor::on_prepared(WorkerProcess& worker) {
  if (worker.state() != WorkerProcess::State::prepared) return;  // it was told to end meanwhile
  if (stage_ == Stage::serving) {
    if (reload_ != nullptr && reload_->before) return on_tried({});
    // Else what it serves may be of yesterday in a moment.
    if (reload_ == nullptr || !reload_->chosen) admit(worker);
    return;
  }
  if (stage_ != Stage::starting) return;
  // One may have died since all were, and another be there now.
  for (const auto& slot : slots_) {
    if (slot->current == nullptr || slot->current->state() == WorkerProcess::State::starting)
      return;
  }
  for (worker::ListeningSocket& socket : sockets_) {
    if (const auto listening = socket.listen(); !listening) {
      log::error("{}", listening.error().message);
      status_ = 1;
      return begin_stop(SONICORN_REASON_START_FAILED, 0, {});
    }
  }
  for (const auto& slot : slots_) {
    if (slot->current->state() == WorkerProcess::State::prepared) admit(*slot->current);
  }
}

// A server that has been drained of an app serves without it.
void Supervisor::admit(WorkerProcess& worker) {
  for (const std::string& app : drained_) {
    worker.ask("drain", {{"app", app}}, config_.grace, [](const Json&) {});
  }
  worker.serve();
  // It knows nothing yet.
  health_.reset();
  tell_health();
}

bool Supervisor::all_serve() const {
  return std::all_of(slots_.begin(), slots_.end(), [](const auto& slot) {
    return slot->current != nullptr && slot->current->state() == WorkerProcess::State::serving;
  });
}

void Supervisor::on_serving(WorkerProcess& worker) {
  tell(config::Hook::worker_ready, {{"worker", worker.index()}, {"worker_pid", worker.pid()}});
  if (stage_ == Stage::starting) {
    if (all_serve()) announce();
    return;
  }
  if (stage_ != Stage::serving) return;
  Slot* const slot = slot_of(worker);
  if (slot == nullptr) return;
  log::info("worker {} serves (pid {})", slot->index, worker.pid());
  if (slot->successor.get() == &worker) {
    std::unique_ptr<WorkerProcess> old = std::exchange(slot->current, std::move(slot->successor));
    // Else it died meanwhile, and its place is taken.
    if (old != nullptr) {
      if (!is_replacing(slot->index)) {
        return retire(std::move(old), SONICORN_REASON_ADMIN_STOP, "another one is there");
      }
      awaited_ = old.get();
      retire(std::move(old), to_replace_.front().reason, to_replace_.front().why);
      // The one that leaves takes no part in a reload, however long it stays.
      return next_reload();
    }
  }
  // Unless it is the one that is to be replaced, which was just about to serve.
  if (is_replacing(slot->index) && slot->successor == nullptr && !slot->spawning) replaced({});
  if (reload_ != nullptr && reload_->waits) prepare_workers();
}

void Supervisor::announce() {
  stage_ = Stage::serving;
  Json urls = Json::array();
  for (const worker::ListeningSocket& socket : sockets_) {
    urls.push_back(socket.url());
    log::info("listening on {}", socket.url());
    std::printf("Listening on %s\n", socket.url().c_str());
  }
  std::fflush(stdout);
  tell(config::Hook::when_ready, {{"addresses", urls}, {"workers", slots_.size()}});
  tell_health();
  notifier_.ready(status_text());
  watch_limits();
  watch_pulse();
  watch_files();
  next_reload();
}

void Supervisor::on_control(const Json& said) {
  const std::string app = said.value("app", std::string());
  const std::string text = said.value("message", std::string());
  switch (said.value("action", 0u)) {
    case SONICORN_CONTROL_RELOAD:
      return wish({.only = app, .reason = SONICORN_REASON_RELOAD, .message = text, .done = {}});
    case SONICORN_CONTROL_DRAIN:
      if (is_reloading(app)) return log::warning("app {}: is being reloaded, so not drained", app);
      drained_.insert(app);
      return each_worker([&](WorkerProcess& worker) {
        worker.ask("drain", {{"app", app}, {"message", text}}, config_.grace, [](const Json&) {});
      });
    default:
      return begin_stop(SONICORN_REASON_ADMIN_STOP, 0, text);
  }
}

void Supervisor::replace(Replacement wanted) {
  if (stage_ != Stage::serving) {
    if (wanted.done) wanted.done("the server is not serving");
    return;
  }
  // A wish of the worker itself is one, however often it is had; of one whose predecessor is still
  // leaving it is another.
  const auto first = awaited_ != nullptr ? std::next(to_replace_.begin()) : to_replace_.begin();
  const bool known =
      wanted.done == nullptr && std::any_of(first, to_replace_.end(), [&](const Replacement& each) {
        return each.index == wanted.index;
      });
  if (known) return;
  to_replace_.push_back(std::move(wanted));
  replace_next();
}

void Supervisor::replace_next() {
  if (replacing_ || to_replace_.empty() || stage_ != Stage::serving || reload_ != nullptr) return;
  replacing_ = true;
  const Replacement& next = to_replace_.front();
  Slot* const slot = slot_at(next.index);
  if (slot == nullptr) return replaced(fmt::format("there is no worker {}", next.index));
  log::info("worker {} is replaced: {}", slot->index, next.why);
  if (slot->current != nullptr) return spawn(*slot, Place::successor);
  // It died, and need not wait any longer.
  slot->timer.cancel();
  spawn(*slot, Place::current);
}

// Whether a successor for that place comes up, or is about to.
bool Supervisor::is_replacing(unsigned index) const {
  return is_replacing() && to_replace_.front().index == index;
}

void Supervisor::replaced(const std::string& fault) {
  awaited_ = nullptr;
  const Replacement done = std::move(to_replace_.front());
  to_replace_.pop_front();
  replacing_ = false;
  if (done.done) done.done(fault);
  replace_next();
  next_reload();
}

void Supervisor::retire(std::unique_ptr<WorkerProcess> worker, std::uint32_t reason,
                        const std::string& why) {
  WorkerProcess& leaver = *worker;
  leaving_.push_back(std::move(worker));
  tell(config::Hook::worker_stopping,
       {{"worker", leaver.index()}, {"worker_pid", leaver.pid()}, {"reason", why}});
  leaver.stop(reason, 0, why, stop_limit(), true);
}

}  // namespace sonicorn::supervisor
