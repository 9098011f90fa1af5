#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>
#include <vector>

#include "app/services.hpp"
#include "http/pool_call.hpp"

namespace sonicorn::worker {

// The threads on which handlers may block. They are made when there is work and all are busy, up to
// a limit. The queue is bounded in number and in time: who would wait longer than a call may is
// refused at once, so that what is served is served to somebody. Of an app that is serial one call
// runs at a time, and the others wait without holding a thread. Thread-safe.
class BlockingPool final : public http::Executor {
 public:
  // `services` outlive the pool. Their watchdog is told of calls that run longer than the request
  // time; when half of the threads are in such calls, or one is and its app is serial,
  // the process is told as stuck.
  BlockingPool(unsigned max_threads, const config::Limits& limits, app::Services& services);
  // Joins the threads. REQUIRES: no call running that never ends.
  ~BlockingPool();
  BlockingPool(const BlockingPool&) = delete;
  BlockingPool& operator=(const BlockingPool&) = delete;

  bool submit(std::unique_ptr<http::PoolCall>& call) override;
  void submit_owed(std::unique_ptr<http::PoolCall> call) override;

  // Has `idle` called once, on any thread, when no call is queued or running; at once if that is
  // so.
  void when_idle(std::function<void()> idle);

  // Has `done` called once, on any thread, when no call of `generation` is queued or running; at
  // once if that is so. REQUIRES: none is submitted any more.
  void when_free(const app::Generation& generation, std::function<void()> done);

  // Has each thread that the generation was told of tell it that it will not run its handlers any
  // more (thread_exit), and `done` called when all have. REQUIRES: as above, and no call of it is
  // left.
  void leave(app::Generation& generation, std::function<void()> done);

 private:
  using Call = std::unique_ptr<http::PoolCall>;
  using Task = std::function<void(app::CallContext&)>;

  struct Awaited {
    const app::Generation* generation;
    std::function<void()> done;
  };

  void run();
  bool add_thread();
  void queue(Call call);
  Call take(app::CallContext& context, std::unique_lock<std::mutex>& lock);
  void run_tasks(app::CallContext& context, std::unique_lock<std::mutex>& lock);
  bool is_full() const;
  bool join(http::PoolCall& call, app::CallContext& context);
  void keep_pace(const http::PoolCall& call);
  void tell_free(std::unique_lock<std::mutex>& lock);
  void wake_for(http::PoolCall& call);
  void pass_on(Call call);
  void work_on(Call call, app::CallContext& context, bool may_run);
  void finished(const app::Generation* serial, std::unique_lock<std::mutex>& lock);

  const unsigned max_threads_;
  const std::size_t max_queue_;
  const std::uint64_t most_wait_ns_;
  app::Services& services_;
  const std::chrono::milliseconds request_time_;
  std::mutex mutex_;
  std::condition_variable work_;
  std::deque<Call> ready_;
  // Calls of a serial generation that wait for the one that runs; an entry exists while one does.
  std::unordered_map<const app::Generation*, std::deque<Call>> serial_;
  std::size_t queued_ = 0;
  std::uint64_t pace_ns_ = 0;  // about so often a waiting call is taken
  std::size_t running_ = 0;
  std::size_t waiting_threads_ = 0;
  bool ending_ = false;
  std::function<void()> idle_;
  std::vector<Awaited> awaited_;
  struct Thread {
    std::deque<Task> tasks;
    std::vector<const app::Generation*> joined;  // that were told of it
  };
  std::unordered_map<app::CallContext*, Thread> known_;
  std::vector<std::thread> threads_;
};

}  // namespace sonicorn::worker
