#pragma once

#include <functional>

#include "app/generation.hpp"
#include "routing/router.hpp"

namespace sonicorn::worker {

// The requests of a worker, for those who replace its apps. For the main loop's thread, where
// `done` is called, too; before requests are served, soon.
class Traffic {
 public:
  // `done` is called when no request uses a router that is not the current one any more.
  virtual void when_rerouted(std::function<void()> done) = 0;

  // `done` is called when no request has to do with `generation` any more and no thread will call
  // it: each that was told of it (thread_start) has left it (thread_exit). REQUIRES: no request
  // that begins now gets to it.
  virtual void when_left(app::Generation& generation, std::function<void()> done) = 0;

  // Takes up requests that waited for their app (App::hold).
  virtual void resume() = 0;

 protected:
  ~Traffic() = default;
};

}  // namespace sonicorn::worker
