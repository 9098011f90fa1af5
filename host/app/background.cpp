#include "app/background.hpp"

#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <thread>
#include <utility>

#include "core/alternate_stack.hpp"

// One for all threads of a generation.
struct sonicorn_stop_token {
  std::mutex mutex;
  std::condition_variable changed;
  std::atomic<bool> requested{false};
};

namespace sonicorn::app {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

// Longer than any process lives, and short enough that adding it to the clock does not overflow.
constexpr std::uint64_t kLongestWait = 100ULL * 365 * 24 * 3600 * 1000;  // milliseconds

// What a thread whose body returned has at least for its thread-local destructors.
constexpr milliseconds kTimeToExit(1000);

constexpr std::size_t kLongestThreadName = 15;  // bytes that the kernel keeps

}  // namespace

struct BackgroundThreads::Thread {
  Thread(BackgroundThreads& of, std::string called, void (*does)(sonicorn_stop_token*, void*),
         void* with)
      : owner(of), name(std::move(called)), body(does), argument(with) {}

  BackgroundThreads& owner;
  const std::string name;
  void (*const body)(sonicorn_stop_token*, void*);
  void* const argument;
  pthread_t handle{};
  pid_t kernel_id = 0;  // 0 until it runs
  bool ended = false;   // its body
};

BackgroundThreads::BackgroundThreads(OnThread on_thread, OnError on_error)
    : on_thread_(std::move(on_thread)),
      on_error_(std::move(on_error)),
      stop_(std::make_unique<sonicorn_stop_token>()) {}

BackgroundThreads::~BackgroundThreads() {
  request_stop();
  while (!join_until(Clock::time_point::max()).empty()) continue;
}

bool BackgroundThreads::start(std::string name, void (*body)(sonicorn_stop_token*, void*),
                              void* argument) {
  forget_ended();
  std::unique_lock lock(mutex_);
  if (stop_->requested) return false;
  const auto thread = std::make_shared<Thread>(*this, std::move(name), body, argument);
  threads_.push_back(thread);
  if (::pthread_create(&thread->handle, nullptr, &BackgroundThreads::enter, thread.get()) != 0) {
    threads_.pop_back();
    return false;
  }
  // Who sees a thread sees its id too.
  changed_.wait(lock, [&] { return thread->kernel_id != 0; });
  return true;
}

void* BackgroundThreads::enter(void* thread) {
  core::use_alternate_stack();
  Thread& self = *static_cast<Thread*>(thread);
  ::pthread_setname_np(::pthread_self(), self.name.substr(0, kLongestThreadName).c_str());
  self.owner.run(self);
  return nullptr;
}

void BackgroundThreads::run(Thread& thread) {
  // Also when the body leaves by pthread_exit.
  struct End {
    BackgroundThreads& owner;
    Thread& thread;
    ~End() {
      const std::lock_guard lock(owner.mutex_);
      thread.ended = true;
      owner.changed_.notify_all();
    }
  };
  {
    const std::lock_guard lock(mutex_);
    thread.kernel_id = ::gettid();
    changed_.notify_all();
  }
  const End end{*this, thread};
  on_thread_(thread.name);
  try {
    thread.body(stop_.get(), thread.argument);
  } catch (const std::exception& error) {
    on_error_(thread.name, error.what());
  } catch (...) {
    // What pthread_exit unwinds by is no exception, and to stop it here would end the process.
    if (std::current_exception() == nullptr) throw;
    on_error_(thread.name, "something that is no std::exception");
  }
}

void BackgroundThreads::request_stop() {
  {
    const std::scoped_lock lock(mutex_, stop_->mutex);
    stop_->requested = true;
  }
  stop_->changed.notify_all();
}

std::vector<std::string> BackgroundThreads::join_until(Clock::time_point deadline) {
  const std::lock_guard joining(joining_);
  std::unique_lock lock(mutex_);
  const auto threads = threads_;
  lock.unlock();
  std::vector<std::string> left;
  for (const auto& thread : threads) {
    if (!join(*thread, deadline)) left.push_back(thread->name);
  }
  return left;
}

bool BackgroundThreads::join(Thread& thread, Clock::time_point deadline) {
  std::unique_lock lock(mutex_);
  if (!changed_.wait_until(lock, deadline, [&] { return thread.ended; })) return false;
  lock.unlock();
  // Destructors of the app's thread-locals run after the body and may hang as well. There is no
  // join with a limit on the monotonic clock that the thread sanitizer knows.
  const auto last = std::max(deadline, Clock::now() + kTimeToExit);
  while (::pthread_tryjoin_np(thread.handle, nullptr) != 0) {
    if (Clock::now() >= last) return false;
    std::this_thread::sleep_for(milliseconds(1));
  }
  lock.lock();
  std::erase_if(threads_, [&](const auto& each) { return each.get() == &thread; });
  return true;
}

// An app that starts many short threads must not collect what is left of them.
void BackgroundThreads::forget_ended() {
  const std::unique_lock joining(joining_, std::try_to_lock);
  if (!joining) return;
  const std::lock_guard lock(mutex_);
  std::erase_if(threads_, [](const auto& each) {
    return each->ended && ::pthread_tryjoin_np(each->handle, nullptr) == 0;
  });
}

std::vector<BackgroundThreads::Running> BackgroundThreads::names() const {
  const std::lock_guard lock(mutex_);
  std::vector<Running> running;
  for (const auto& thread : threads_) {
    if (!thread->ended && thread->kernel_id != 0) {
      running.push_back({thread->name, thread->kernel_id});
    }
  }
  return running;
}

std::int32_t BackgroundThreads::stop_requested(const sonicorn_stop_token* stop) {
  return stop == nullptr || stop->requested ? 1 : 0;
}

std::int32_t BackgroundThreads::wait(sonicorn_stop_token* stop, std::uint64_t timeout_ms) {
  if (stop == nullptr) return 1;
  const auto timeout = milliseconds(std::min(timeout_ms, kLongestWait));
  const auto until = Clock::now() + timeout;
  std::unique_lock lock(stop->mutex);
  return stop->changed.wait_until(lock, until, [&] { return stop->requested.load(); }) ? 1 : 0;
}

}  // namespace sonicorn::app
