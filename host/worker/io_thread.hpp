#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "app/services.hpp"
#include "config/config.hpp"
#include "http/places.hpp"
#include "http/pool_call.hpp"
#include "routing/router.hpp"

namespace sonicorn::worker {

// One thread that serves connections, with an io_context of its own. The methods are for the thread
// that made it.
class IoThread {
 public:
  struct Shared {
    const std::atomic<const routing::Router*>& router;
    const config::Limits& limits;
    http::Executor& executor;
    http::Places& places;
    app::Services& services;      // its watchdog is told of handlers that run too long
    std::vector<app::App*> apps;  // those whose handlers may run here are told of the thread
    std::chrono::milliseconds hold_time;  // for requests whose app is about to be replaced
  };

  // Serves what arrives on `listening` from now on; the sockets stay the caller's and outlive it.
  IoThread(unsigned index, Shared shared, std::span<const int> listening);
  // Joins. REQUIRES: stopped or aborted, and no handler that never returns.
  ~IoThread();
  IoThread(const IoThread&) = delete;
  IoThread& operator=(const IoThread&) = delete;

  // Tells the thread of the others, which may have idle connections to close when there is no room.
  // They are joined together.
  void meet(std::span<const std::unique_ptr<IoThread>> all);

  // Takes in who has connected already and accepts no more, then calls `closed`; lets requests in
  // hand end, and calls `emptied` when no connection is left. Both are called on the I/O thread.
  // `goes_on`: as of Loop::stop().
  void stop(bool goes_on, std::function<void()> closed, std::function<void()> emptied);
  // After that: the server does not go on after all.
  void dismiss_idle();

  // Looks whether somebody waits to be accepted, whom another process was told of.
  void look();

  // Cuts what is left.
  void abort();

  // For when apps are replaced. Each calls `done`, unless that is empty, on the I/O thread.
  // No request here uses a router that is not the current one any more.
  void pass_by(std::function<void()> done);
  // No request here has to do with `generation` any more. REQUIRES: none that begins gets to it.
  void when_free(const app::Generation& generation, std::function<void()> done);
  // Tells the generation that this thread will not run its handlers any more (thread_exit).
  void leave(app::Generation& generation, std::function<void()> done);
  // Takes up requests that waited for their app (http::Loop::resume).
  void resume();

  // The generation whose handler runs on this thread now, or null. Thread-safe.
  app::Generation* running() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sonicorn::worker
