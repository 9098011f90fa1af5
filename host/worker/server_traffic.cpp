#include <boost/asio/post.hpp>
#include <memory>
#include <utility>

#include "worker/server.hpp"

// The requests of a worker while its apps are replaced.
namespace sonicorn::worker {

namespace asio = boost::asio;

// Has each I/O thread do something; `done` is called on the main thread when all have.
void Server::each_thread(const std::function<void(IoThread&, std::function<void()>)>& use,
                         std::function<void()> done) {
  const auto left = std::make_shared<std::size_t>(threads_.size() + 1);
  const auto one_done = [this, left, done = std::move(done)] {
    asio::post(io_, [left, done] {
      if (--*left == 0) done();
    });
  };
  for (const auto& thread : threads_) use(*thread, one_done);
  one_done();
}

void Server::when_rerouted(std::function<void()> done) {
  each_thread(
      [](IoThread& thread, std::function<void()> passed) { thread.pass_by(std::move(passed)); },
      std::move(done));
}

// What a thread has in hand may be given to the pool, and what comes back from there is still in
// hand; so both are asked in turn. The end of the threads, when the server stops, answers nobody:
// the generation is ended with all others then.
void Server::when_left(app::Generation& generation, std::function<void()> done) {
  const auto free = [&generation](IoThread& thread, std::function<void()> freed) {
    thread.when_free(generation, std::move(freed));
  };
  const auto leave = [&generation](IoThread& thread, std::function<void()> left) {
    thread.leave(generation, std::move(left));
  };
  const auto on_main = [this](std::function<void()> task) {
    return [this, task = std::move(task)] { asio::post(io_, task); };
  };
  each_thread(free, [this, &generation, free, leave, on_main, done = std::move(done)] {
    if (pool_ == nullptr) return each_thread(leave, done);
    pool_->when_free(generation, on_main([this, &generation, free, leave, on_main, done] {
                       each_thread(free, [this, &generation, leave, on_main, done] {
                         each_thread(leave, [this, &generation, on_main, done] {
                           if (pool_ == nullptr) return done();
                           pool_->leave(generation, on_main(done));
                         });
                       });
                     }));
  });
}

void Server::resume() {
  for (const auto& thread : threads_) thread->resume();
}

}  // namespace sonicorn::worker
