#include "app/lifecycle_thread.hpp"

#include <pthread.h>

#include <utility>

namespace sonicorn::app {

LifecycleThread::LifecycleThread(std::string name)
    : name_(std::move(name)), thread_([this] { run(); }) {}

LifecycleThread::~LifecycleThread() {
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
    tasks_.push(std::move(task));
  }
  changed_.notify_one();
}

void LifecycleThread::run() {
  ::pthread_setname_np(::pthread_self(), name_.substr(0, 15).c_str());
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return ending_ || !tasks_.empty(); });
    if (tasks_.empty()) return;
    const std::function<void()> task = std::move(tasks_.front());
    tasks_.pop();
    lock.unlock();
    task();
    lock.lock();
  }
}

}  // namespace sonicorn::app
