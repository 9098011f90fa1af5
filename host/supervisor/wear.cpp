#include <fmt/format.h>
#include <sonicorn/context.h>

#include <algorithm>
#include <memory>
#include <utility>

#include "core/log.hpp"
#include "supervisor/supervisor.hpp"

// What the supervisor looks at while workers serve: what wears them out, and whether they live.
namespace sonicorn::supervisor {

namespace log = core::log;

namespace {

using Json = nlohmann::json;
using std::chrono::milliseconds;

constexpr milliseconds kWearLook{1'000};
// The main thread of a worker waits for nobody, but for a processor.
constexpr milliseconds kLeastPulse{3'000};
constexpr milliseconds kProgramStart{5'000};

// One that is told to stop has its own limit.
bool is_to_live(const WorkerProcess& worker) {
  return worker.state() != WorkerProcess::State::stopping;
}

}  // namespace

// What the configuration says of workers, once it has changed.
void Supervisor::apply_limits(const Reload& over) {
  quarantine_.set_limits(config_.workers);
  for (const auto& slot : slots_) {
    slot->backoff = Backoff(config_.workers);
    allow_requests(*slot);
  }
  watch_limits();
  watch_pulse();
  if (!over.renews_workers) return;
  for (const auto& slot : slots_) {
    const auto& had = over.workers;
    if (slot->current == nullptr ||
        std::find(had.begin(), had.end(), slot->current->pid()) == had.end()) {
      continue;
    }
    replace({slot->index, SONICORN_REASON_CONFIG_CHANGED, "the configuration of workers changed",
             nullptr});
  }
}

// Whether the main thread of each worker answers: of one that is stopped, or stuck where no app is,
// nobody else would know.
void Supervisor::watch_pulse() {
  pulse_timer_.cancel();
  if (config_.limits.loop_time.count() == 0) return;
  pulse_timer_.expires_after(pulse_limit() / 2);
  pulse_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error || (stage_ != Stage::serving && stage_ != Stage::starting)) return;
    for (const auto& slot : slots_) {
      for (WorkerProcess* const worker : {slot->current.get(), slot->successor.get()}) {
        if (worker != nullptr && is_to_live(*worker)) look_for_pulse(*worker);
      }
    }
    watch_pulse();
  });
}

milliseconds Supervisor::pulse_limit() const {
  return std::max(config_.limits.loop_time, kLeastPulse);
}

void Supervisor::look_for_pulse(WorkerProcess& worker) {
  if (!worker.begin_pulse()) return;
  // One that starts is a new program first.
  const bool starts = worker.state() == WorkerProcess::State::starting;
  const milliseconds limit = starts ? pulse_limit() + kProgramStart : pulse_limit();
  const auto timer = std::make_shared<boost::asio::steady_timer>(io_, limit);
  timer->async_wait([this, timer, pid = worker.pid()](const boost::system::error_code& error) {
    if (error) return;
    // Who was stopped himself finds the limit over before he hears of the answer.
    timer->expires_after(kWearLook);
    timer->async_wait([this, timer, pid](const boost::system::error_code& cancelled) {
      if (!cancelled) end_without_pulse(pid);
    });
  });
  worker.ask("pulse", {}, limit + 2 * kWearLook,
             [this, timer, pid = worker.pid()](const Json& answer) {
               if (answer.is_null()) return;
               timer->cancel();
               if (WorkerProcess* const found = worker_of(pid)) found->end_pulse();
             });
}

void Supervisor::end_without_pulse(pid_t pid) {
  WorkerProcess* const worker = worker_of(pid);
  if (worker == nullptr || worker->has_ended() || !is_to_live(*worker)) return;
  log::error("worker {} (pid {}) has not answered the supervisor in its time; it is killed",
             worker->index(), pid);
  worker->abort("it did not answer");
}

// Only with a limit there is something to look at.
void Supervisor::watch_limits() {
  limits_timer_.cancel();
  const config::Workers& limits = config_.workers;
  if (limits.max_requests == 0 && limits.max_lifetime.count() == 0 && limits.max_memory == 0)
    return;
  limits_timer_.expires_after(kWearLook);
  limits_timer_.async_wait([this](const boost::system::error_code& error) {
    if (error || stage_ != Stage::serving) return;
    for (const auto& slot : slots_) {
      if (slot->current != nullptr && slot->current->state() == WorkerProcess::State::serving) {
        check_limits(*slot);
      }
    }
    watch_limits();
  });
}

void Supervisor::check_limits(Slot& slot) {
  // The last successor did not come up, and the next one waits.
  if (Clock::now() < slot.timer.expiry()) return;
  const config::Workers& limits = config_.workers;
  const WorkerProcess& worker = *slot.current;
  const auto wish = [this, index = slot.index](std::string why) {
    replace({index, SONICORN_REASON_MAX_REQUESTS, std::move(why), nullptr});
  };
  if (limits.max_lifetime.count() != 0 && Clock::now() - worker.started() > limits.max_lifetime) {
    return wish("it has lived for max_lifetime");
  }
  if (limits.max_memory != 0 && worker.resident_bytes() > limits.max_memory) {
    return wish(
        fmt::format("it has {} bytes in memory, more than max_memory", worker.resident_bytes()));
  }
  if (slot.requests_allowed == 0) return;
  slot.current->ask("numbers", {}, {},
                    [this, wish, index = slot.index, pid = worker.pid(),
                     allowed = slot.requests_allowed](const Json& apps) {
                      // Another one may be there by now.
                      const Slot* const now = slot_at(index);
                      if (now == nullptr || now->current == nullptr || now->current->pid() != pid)
                        return;
                      std::uint64_t requests = 0;
                      for (const Json& app : apps)
                        requests += app.value("requests", std::uint64_t{0});
                      if (requests >= allowed)
                        wish(fmt::format("it has answered {} requests", requests));
                    });
}

}  // namespace sonicorn::supervisor
