#include "worker/blocking_pool.hpp"

#include <fmt/format.h>
#include <pthread.h>

#include <system_error>
#include <utility>

#include "core/log.hpp"
#include "http/loop.hpp"

namespace sonicorn::worker {

BlockingPool::BlockingPool(unsigned max_threads, std::size_t max_queue)
    : max_threads_(max_threads), max_queue_(max_queue) {}

BlockingPool::~BlockingPool() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  work_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

bool BlockingPool::submit(std::unique_ptr<http::PoolCall>& call) {
  const std::lock_guard lock(mutex_);
  // A call that a free thread takes at once does not wait in the queue.
  const bool free_thread = waiting_threads_ > ready_.size() || threads_.size() < max_threads_;
  if (queued_ >= max_queue_ && !free_thread) return false;
  if (waiting_threads_ <= ready_.size() && !add_thread()) return false;
  app::Generation& generation = *call->generation;
  bool ready = true;
  if (generation.traits().serial) {
    const auto [waiting, first] = serial_.try_emplace(&generation);
    ready = first;
    if (!first) waiting->second.push_back(std::move(call));
  }
  if (ready) {
    try {
      ready_.push_back(std::move(call));
    } catch (...) {
      serial_.erase(&generation);
      throw;
    }
    work_.notify_one();
  }
  generation.enter_pool_call();
  ++queued_;
  return true;
}

// False only when there is no thread at all.
bool BlockingPool::add_thread() {
  if (threads_.size() >= max_threads_) return true;
  try {
    threads_.emplace_back([this, number = threads_.size()] {
      ::pthread_setname_np(::pthread_self(), fmt::format("pool-{}", number).c_str());
      run();
    });
  } catch (const std::system_error& error) {
    core::log::warning("cannot start a pool thread: {}", error.what());
  }
  return !threads_.empty();
}

void BlockingPool::run() {
  app::CallContext context(SONICORN_SCOPE_REQUEST, SONICORN_THREAD_POOL);
  context.set_event("on_request");
  std::unique_lock lock(mutex_);
  for (;;) {
    ++waiting_threads_;
    work_.wait(lock, [this] { return ending_ || !ready_.empty(); });
    --waiting_threads_;
    if (ready_.empty()) return;
    Call call = std::move(ready_.front());
    ready_.pop_front();
    --queued_;
    ++running_;
    lock.unlock();

    app::Generation& generation = *call->generation;
    http::Loop& home = *call->home;
    call->run(context);
    // The loop lives as long as a call is counted.
    home.complete(std::move(call));
    generation.leave_pool_call();

    lock.lock();
    --running_;
    finished(generation, lock);
  }
}

void BlockingPool::finished(const app::Generation& generation, std::unique_lock<std::mutex>& lock) {
  if (const auto entry = serial_.find(&generation); entry != serial_.end()) {
    if (entry->second.empty()) {
      serial_.erase(entry);
    } else {
      ready_.push_back(std::move(entry->second.front()));
      entry->second.pop_front();
      work_.notify_one();
    }
  }
  if (running_ != 0 || queued_ != 0 || !idle_) return;
  const auto idle = std::exchange(idle_, nullptr);
  lock.unlock();
  idle();
  lock.lock();
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
