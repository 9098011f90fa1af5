#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <queue>
#include <string>
#include <thread>

namespace sonicorn::app {

// The one thread on which a generation is started, told of events, and shut down. Tasks run in the
// order given. The destructor lets the queued tasks finish and joins.
class LifecycleThread {
 public:
  // `name` is what ps and a debugger show; the kernel keeps its first 15 bytes.
  explicit LifecycleThread(std::string name);
  ~LifecycleThread();
  LifecycleThread(const LifecycleThread&) = delete;
  LifecycleThread& operator=(const LifecycleThread&) = delete;

  // Queues a task, which must not throw. Thread-safe.
  void post(std::function<void()> task);

 private:
  void run();

  std::string name_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::queue<std::function<void()>> tasks_;
  bool ending_ = false;
  std::thread thread_;
};

}  // namespace sonicorn::app
