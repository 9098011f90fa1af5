#include "app/watchdog.hpp"

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "app/call_context.hpp"
#include "app/generation.hpp"
#include "core/backtrace.hpp"
#include "core/log.hpp"
#include "core/own_thread.hpp"
#include "core/time.hpp"

namespace sonicorn::app {
namespace {

constexpr std::chrono::milliseconds kSampling{250};

std::string_view consequence(config::Overrun policy) {
  switch (policy) {
    case config::Overrun::wait:
      return "the server waits on";
    case config::Overrun::abandon:
      return "the server goes on without it";
    case config::Overrun::kill:
      return "the worker ends";
  }
  return "";
}

}  // namespace

Watchdog::Watchdog() : thread_(core::start_own_thread([this] { run(); })) {}

Watchdog::~Watchdog() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

std::uint64_t Watchdog::watch(Call call) {
  std::uint64_t id;
  {
    const std::lock_guard lock(mutex_);
    id = next_id_++;
    calls_.emplace(id, std::move(call));
  }
  changed_.notify_one();
  return id;
}

bool Watchdog::unwatch(std::uint64_t id) {
  std::unique_lock lock(mutex_);
  told_.wait(lock, [&] { return telling_ != id; });
  calls_.erase(id);
  return overdue_.erase(id) != 0;
}

void Watchdog::watch_requests(const CallContext& context, std::chrono::milliseconds limit,
                              Stuck stuck) {
  {
    const std::lock_guard lock(mutex_);
    sampled_.push_back({&context, limit, std::move(stuck), {}, false, false, {}});
  }
  changed_.notify_one();
}

void Watchdog::forget(const CallContext& context) {
  const std::lock_guard lock(mutex_);
  std::erase_if(sampled_, [&](const Sampled& each) { return each.context == &context; });
}

Watchdog::Clock::time_point Watchdog::next_look(Clock::time_point now) const {
  Clock::time_point next = sampled_.empty() ? Clock::time_point::max() : now + kSampling;
  for (const auto& [id, call] : calls_) next = std::min(next, call.begun + call.limit);
  return next;
}

void Watchdog::run() {
  ::pthread_setname_np(::pthread_self(), "watchdog");
  std::unique_lock lock(mutex_);
  while (!ending_) {
    const auto now = Clock::now();
    std::vector<Call> overdue;
    std::vector<StuckCall> stuck;
    for (Sampled& each : sampled_) sample(each, now, overdue, stuck);
    const auto late = std::find_if(calls_.begin(), calls_.end(), [&](const auto& entry) {
      return entry.second.begun + entry.second.limit <= now;
    });
    if (late != calls_.end()) {
      telling_ = late->first;
      overdue_[telling_] = true;
      overdue.push_back(std::move(late->second));
      calls_.erase(late);
    }
    if (!overdue.empty() || !stuck.empty()) {
      lock.unlock();
      for (const Call& call : overdue) tell(call, now);
      for (const StuckCall& each : stuck) tell_stuck(each, now);
      lock.lock();
      telling_ = 0;
      told_.notify_all();
      continue;
    }
    const auto next = next_look(now);
    if (next == Clock::time_point::max()) {
      changed_.wait(lock);
    } else {
      changed_.wait_until(lock, next);
    }
  }
}

void Watchdog::sample(Sampled& each, Clock::time_point now, std::vector<Call>& overdue,
                      std::vector<StuckCall>& stuck) {
  const CallContext::Running& running = each.context->running;
  const Generation* const generation = running.generation.load(std::memory_order_acquire);
  const Sampled::Call call{generation, running.attribute.load(std::memory_order_relaxed),
                           running.requests.load(std::memory_order_relaxed)};
  if (generation == nullptr || call != each.call) {
    each.call = call;
    each.told = each.told_stuck = false;
    each.since = now;
    return;
  }
  const auto described = [&](std::chrono::milliseconds limit) {
    return Call{generation->name(),
                std::string(name_of(call.attribute)),
                generation->traits().number,
                static_cast<pid_t>(each.context->thread_id),
                each.since,
                limit,
                generation->traits().overrun,
                nullptr};
  };
  const bool overruns = !each.told && now - each.since >= each.limit;
  if (overruns) {
    each.told = true;
    overdue.push_back(described(each.limit));
  }
  if (each.stuck.tell && !each.told_stuck && each.stuck.limit.count() != 0 &&
      now - each.since >= each.stuck.limit) {
    each.told_stuck = true;
    if (generation->traits().serial || !is_borne(each.stuck)) {
      stuck.push_back({described(each.stuck.limit), each.stuck, overruns});
    }
  }
}

bool Watchdog::is_borne(const Stuck& stuck) const {
  const auto lost = std::count_if(sampled_.begin(), sampled_.end(), [&](const Sampled& each) {
    return each.told_stuck && each.stuck.kind == stuck.kind;
  });
  return static_cast<std::size_t>(lost) <= stuck.borne;
}

void Watchdog::tell_place(const Call& call) {
  if (const auto frames = core::backtrace_of(call.thread)) {
    for (const std::string& line : core::to_lines(*frames)) {
      core::log::error("app {}: {} is at {}", call.app, call.attribute, line);
    }
  } else {
    core::log::error("app {}: {} has no backtrace: {}", call.app, call.attribute,
                     frames.error().message);
  }
}

void Watchdog::tell_stuck(const StuckCall& each, Clock::time_point now) {
  const Call& call = each.call;
  core::log::error(
      "app {}: {} holds up {} for {:.1f} s (generation {}, thread {}); the worker is to be "
      "replaced{}{}",
      call.app, call.attribute, each.stuck.kind, core::seconds(now - call.begun), call.generation,
      call.thread, each.stuck.remedy.empty() ? "" : ". ", each.stuck.remedy);
  if (!each.placed) tell_place(call);
  each.stuck.tell(call);
}

void Watchdog::tell(const Call& call, Clock::time_point now) {
  if (call.waits) return call.abandon();
  core::log::error(
      "app {}: {} runs for {:.1f} s, longer than its {:.1f} s (generation {}, thread {}); {}",
      call.app, call.attribute, core::seconds(now - call.begun), core::seconds(call.limit),
      call.generation, call.thread, consequence(call.policy));
  tell_place(call);
  if (call.policy == config::Overrun::kill) {
    if (before_killing_) before_killing_(call);
    ::_exit(1);
  }
  if (call.policy == config::Overrun::abandon && call.abandon) call.abandon();
}

}  // namespace sonicorn::app
