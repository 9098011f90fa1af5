#include "worker/blocking_pool.hpp"

#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <system_error>
#include <utility>

#include "app/thread_role.hpp"
#include "core/alternate_stack.hpp"
#include "core/log.hpp"
#include "core/own_thread.hpp"
#include "http/loop.hpp"
#include "http/passage_run.hpp"

namespace sonicorn::worker {

BlockingPool::BlockingPool(unsigned max_threads, const config::Limits& limits,
                           app::Services& services)
    : max_threads_(max_threads),
      max_queue_(limits.queue),
      most_wait_ns_(
          static_cast<std::uint64_t>(std::chrono::nanoseconds(limits.queue_limit()).count())),
      services_(services),
      request_time_(limits.request_time) {}

BlockingPool::~BlockingPool() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  work_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

bool BlockingPool::submit(Call& call) {
  const std::lock_guard lock(mutex_);
  // A call that a free thread takes at once does not wait in the queue.
  const bool free_thread = waiting_threads_ > ready_.size() || threads_.size() < max_threads_;
  if (!free_thread && is_full()) return false;
  if (call->refused_threads() >= max_threads_) return false;
  // Those that wait may be the refused ones.
  const bool choosy = call->refused_threads() != 0;
  if ((choosy || waiting_threads_ <= ready_.size()) && !add_thread()) return false;
  queue(std::move(call));
  return true;
}

bool BlockingPool::is_full() const {
  // Less than what a call may wait, for some wait longer than others.
  return queued_ >= max_queue_ || pace_ns_ * ready_.size() > most_wait_ns_ / 4 * 3;
}

void BlockingPool::keep_pace(const http::PoolCall& call) {
  // Who had to wait for nobody says nothing of how long others would.
  if (call.ahead == 0 || call.owed) return;
  const std::uint64_t waited = http::Passage::now_ns() + most_wait_ns_ - call.begin_by_ns;
  const std::uint64_t pace = waited / call.ahead;
  pace_ns_ = pace_ns_ == 0 ? pace : (3 * pace_ns_ + pace) / 4;
}

void BlockingPool::submit_owed(Call call) {
  const std::lock_guard lock(mutex_);
  if (waiting_threads_ <= ready_.size()) add_thread();
  queue(std::move(call));
}

void BlockingPool::queue(Call call) {
  http::PoolCall& queued = *call;
  queued.ahead = ready_.size();
  app::Generation* const generation = call->generation;
  bool ready = true;
  if (generation != nullptr && generation->traits().serial) {
    const auto [waiting, first] = serial_.try_emplace(generation);
    ready = first;
    if (!first) waiting->second.push_back(std::move(call));
  }
  if (ready) {
    try {
      ready_.push_back(std::move(call));
    } catch (...) {
      serial_.erase(generation);
      throw;
    }
    wake_for(queued);
  }
  queued.enter();
  ++queued_;
}

// One thread, unless it may be one that the app has refused.
void BlockingPool::wake_for(http::PoolCall& call) {
  call.refused_threads() == 0 ? work_.notify_one() : work_.notify_all();
}

// False only when there is no thread at all.
bool BlockingPool::add_thread() {
  if (threads_.size() >= max_threads_) return true;
  try {
    threads_.push_back(core::start_own_thread([this, number = threads_.size()] {
      core::use_alternate_stack();
      ::pthread_setname_np(::pthread_self(), fmt::format("pool-{}", number).c_str());
      run();
    }));
  } catch (const std::system_error& error) {
    core::log::warning("cannot start a pool thread: {}", error.what());
  }
  return !threads_.empty();
}

void BlockingPool::run() {
  app::set_thread_role(SONICORN_THREAD_POOL);
  app::CallContext context(SONICORN_SCOPE_REQUEST, SONICORN_THREAD_POOL);
  context.set_event("on_request");
  services_.watchdog.watch_requests(context, request_time_,
                                    {.kind = "a thread of the pool",
                                     .remedy = {},
                                     .limit = request_time_,
                                     .borne = (max_threads_ - 1) / 2,
                                     .tell = services_.on_stuck});
  {
    std::unique_lock lock(mutex_);
    known_[&context];
    while (Call call = take(context, lock)) {
      const app::Generation* const serial = call->generation;
      lock.unlock();
      const bool may_run = join(*call, context);
      if (may_run || call->refused_threads() >= max_threads_) {
        work_on(std::move(call), context, may_run);
        lock.lock();
        --running_;
        finished(serial, lock);
        tell_free(lock);
      } else {
        lock.lock();
        --running_;
        pass_on(std::move(call));
      }
    }
    known_.erase(&context);
  }
  app::Generation::leave_thread(context);
  services_.watchdog.forget(context);
}

bool BlockingPool::join(http::PoolCall& call, app::CallContext& context) {
  const std::size_t before = context.joined.size();
  const bool accepted = call.join(context);
  if (context.joined.size() != before) {
    const std::lock_guard lock(mutex_);
    std::vector<const app::Generation*>& joined = known_[&context].joined;
    for (std::size_t i = before; i < context.joined.size(); ++i) {
      joined.push_back(context.joined[i].first);
    }
  }
  return accepted;
}

// Waits for a call that the app has not refused this thread for; null when the pool ends.
BlockingPool::Call BlockingPool::take(app::CallContext& context,
                                      std::unique_lock<std::mutex>& lock) {
  auto found = ready_.end();
  std::deque<Task>& tasks = known_[&context].tasks;
  do {
    run_tasks(context, lock);
    ++waiting_threads_;
    work_.wait(lock, [&] {
      found = std::find_if(ready_.begin(), ready_.end(),
                           [&](const Call& each) { return !each->is_refused(context); });
      return ending_ || found != ready_.end() || !tasks.empty();
    });
    --waiting_threads_;
  } while (!tasks.empty());
  if (found == ready_.end()) return nullptr;
  Call call = std::move(*found);
  ready_.erase(found);
  --queued_;
  ++running_;
  keep_pace(*call);
  return call;
}

void BlockingPool::run_tasks(app::CallContext& context, std::unique_lock<std::mutex>& lock) {
  std::deque<Task>& tasks = known_[&context].tasks;
  while (!tasks.empty()) {
    const Task task = std::move(tasks.front());
    tasks.pop_front();
    lock.unlock();
    task(context);
    lock.lock();
  }
}

// To another thread.
void BlockingPool::pass_on(Call call) {
  ready_.push_front(std::move(call));
  ++queued_;
  add_thread();
  work_.notify_all();
}

void BlockingPool::work_on(Call call, app::CallContext& context, bool may_run) {
  http::PoolCall& working = *call;
  http::Loop& home = *call->home;
  if (may_run) {
    working.run(context);
  } else {
    working.result = SONICORN_ERROR;
    working.error = "its thread_start accepted no thread";
  }
  // Whom it was about is known only until it is back, and the loop lives as long as a call is
  // counted.
  if (working.passage == nullptr) {
    app::Generation& counted = *working.generation;
    home.complete(std::move(call));
    return counted.leave_pool_call();
  }
  std::vector<app::Generation*> counted;
  working.each_generation([&](app::Generation& each) { counted.push_back(&each); });
  home.complete(std::move(call));
  for (app::Generation* const each : counted) each->leave_pool_call();
}

void BlockingPool::finished(const app::Generation* serial, std::unique_lock<std::mutex>& lock) {
  if (const auto entry = serial_.find(serial); entry != serial_.end()) {
    if (entry->second.empty()) {
      serial_.erase(entry);
    } else {
      http::PoolCall& next = *entry->second.front();
      ready_.push_back(std::move(entry->second.front()));
      entry->second.pop_front();
      wake_for(next);
    }
  }
  if (running_ != 0 || queued_ != 0 || !idle_) return;
  const auto idle = std::exchange(idle_, nullptr);
  lock.unlock();
  idle();
  lock.lock();
}

void BlockingPool::tell_free(std::unique_lock<std::mutex>& lock) {
  if (awaited_.empty()) return;
  std::vector<std::function<void()>> free;
  std::erase_if(awaited_, [&](Awaited& each) {
    if (each.generation->pool_calls() != 0) return false;
    free.push_back(std::move(each.done));
    return true;
  });
  lock.unlock();
  for (const auto& done : free) done();
  lock.lock();
}

void BlockingPool::when_free(const app::Generation& generation, std::function<void()> done) {
  std::unique_lock lock(mutex_);
  awaited_.push_back({&generation, std::move(done)});
  tell_free(lock);
}

void BlockingPool::leave(app::Generation& generation, std::function<void()> done) {
  std::unique_lock lock(mutex_);
  const auto left = std::make_shared<std::atomic<std::size_t>>(1);
  const auto leave_one = [left, done = std::move(done)] {
    if (left->fetch_sub(1) == 1) done();
  };
  for (auto& [context, thread] : known_) {
    // One that has nothing to say may be in a handler of another app for as long as it likes.
    if (std::erase(thread.joined, &generation) == 0) continue;
    ++*left;
    thread.tasks.emplace_back([&generation, leave_one](app::CallContext& own) {
      generation.leave(own);
      leave_one();
    });
  }
  lock.unlock();
  work_.notify_all();
  leave_one();
}

void BlockingPool::when_idle(std::function<void()> idle) {
  {
    const std::lock_guard lock(mutex_);
    if (running_ != 0 || queued_ != 0) {
      idle_ = std::move(idle);
      return;
    }
  }
  idle();
}

}  // namespace sonicorn::worker
