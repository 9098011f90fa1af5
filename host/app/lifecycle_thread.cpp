#include "app/lifecycle_thread.hpp"

#include <pthread.h>

#include <algorithm>
#include <utility>

#include "core/alternate_stack.hpp"
#include "core/own_thread.hpp"

namespace sonicorn::app {
namespace {

using std::chrono::milliseconds;

constexpr std::size_t kMostTimers = 10'000;

// Longer than any process lives, and short enough that adding it to the clock does not overflow.
constexpr milliseconds kForever = std::chrono::hours(100 * 365 * 24);

milliseconds bounded(milliseconds time) {
  return time < milliseconds(0) ? kForever : std::min(time, kForever);
}

}  // namespace

LifecycleThread::LifecycleThread(std::string name)
    : name_(std::move(name)), thread_(core::start_own_thread([this] { run(); })) {}

LifecycleThread::~LifecycleThread() { end(); }

void LifecycleThread::end() {
  if (!thread_.joinable()) return;
  stop_timers();
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void LifecycleThread::post(std::function<void()> task) {
  {
    const std::lock_guard lock(mutex_);
    if (ended_) return;
    tasks_.push(std::move(task));
  }
  changed_.notify_one();
}

std::uint64_t LifecycleThread::start_timer(milliseconds delay, milliseconds period,
                                           std::function<void()> task) {
  const auto at = Clock::now() + bounded(delay);
  std::uint64_t id = 0;
  {
    const std::lock_guard lock(mutex_);
    if (timers_stopped_ || timers_.size() >= kMostTimers) return 0;
    id = ++last_timer_;
    const auto place = due_.emplace(at, id).first;
    try {
      timers_.emplace(id, Timer{at, bounded(period), std::move(task)});
    } catch (...) {
      due_.erase(place);
      throw;
    }
  }
  changed_.notify_one();
  return id;
}

// What a task holds on to is let go without the lock, here and below: it may call back.
void LifecycleThread::cancel_timer(std::uint64_t timer) {
  std::function<void()> task;
  const std::lock_guard lock(mutex_);
  const auto found = timers_.find(timer);
  if (found == timers_.end()) return;
  task = std::move(found->second.task);
  due_.erase({found->second.at, timer});
  timers_.erase(found);
}

void LifecycleThread::stop_timers() {
  std::map<std::uint64_t, Timer> timers;
  const std::lock_guard lock(mutex_);
  timers_stopped_ = true;
  timers.swap(timers_);
  due_.clear();
}

bool LifecycleThread::timer_is_due() const {
  return !due_.empty() && due_.begin()->first <= Clock::now();
}

void LifecycleThread::run() {
  core::use_alternate_stack();
  ::pthread_setname_np(::pthread_self(), name_.substr(0, 15).c_str());
  std::unique_lock lock(mutex_);
  for (;;) {
    if (timer_is_due()) run_timer(lock);
    if (!tasks_.empty()) {
      run_task(lock);
    } else if (ending_) {
      ended_ = true;
      return;
    } else if (due_.empty()) {
      changed_.wait(lock);
    } else {
      // A copy, for the set may change while it waits.
      const auto until = due_.begin()->first;
      changed_.wait_until(lock, until);
    }
  }
}

void LifecycleThread::run_task(std::unique_lock<std::mutex>& lock) {
  std::function<void()> task = std::move(tasks_.front());
  tasks_.pop();
  lock.unlock();
  task();
  task = nullptr;
  lock.lock();
}

void LifecycleThread::run_timer(std::unique_lock<std::mutex>& lock) {
  auto due = due_.extract(due_.begin());
  const std::uint64_t id = due.value().second;
  std::function<void()> task = std::exchange(timers_.find(id)->second.task, nullptr);
  lock.unlock();
  task();
  lock.lock();
  // It may have been ended meanwhile, by itself too.
  const auto found = timers_.find(id);
  if (found != timers_.end() && found->second.period > milliseconds(0)) {
    Timer& timer = found->second;
    timer.at = std::max(Clock::now(), timer.at + timer.period);
    due.value().first = timer.at;
    due_.insert(std::move(due));
    timer.task = std::exchange(task, nullptr);
    return;
  }
  if (found != timers_.end()) timers_.erase(found);
  lock.unlock();
  task = nullptr;
  lock.lock();
}

}  // namespace sonicorn::app
