#include "worker/io_thread.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <pthread.h>

#include <algorithm>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <future>
#include <string_view>
#include <thread>
#include <utility>

#include "app/thread_role.hpp"
#include "core/alternate_stack.hpp"
#include "core/own_thread.hpp"
#include "core/turns.hpp"
#include "http/access_log.hpp"
#include "http/loop.hpp"
#include "worker/acceptor.hpp"

namespace sonicorn::worker {

namespace asio = boost::asio;

namespace {

constexpr std::chrono::milliseconds kTick{250};
constexpr std::chrono::milliseconds kHaste{10};  // when somebody waits for a place

}  // namespace

class IoThread::Impl {
 public:
  Impl(unsigned index, Shared shared, std::span<const int> listening)
      : io_(BOOST_ASIO_CONCURRENCY_HINT_UNSAFE_IO),
        sockets_(io_),
        timer_(io_),
        index_(index),
        shared_(shared),
        listening_(listening.begin(), listening.end()) {
    std::promise<void> made;
    std::future<void> ready = made.get_future();
    thread_ = core::start_own_thread([this, index, &made] {
      core::use_alternate_stack();
      ::pthread_setname_np(::pthread_self(), fmt::format("io-{}", index).c_str());
      run(made);
    });
    try {
      ready.get();
    } catch (...) {
      thread_.join();
      throw;
    }
  }

  ~Impl() {
    asio::post(io_, [this] { io_.stop(); });
    thread_.join();
  }

  void meet(std::vector<Impl*> others) {
    asio::post(io_, [this, others = std::move(others)] { others_ = others; });
  }

  void stop(bool goes_on, std::function<void()> closed, std::function<void()> emptied) {
    asio::post(io_, [this, goes_on, closed = std::move(closed), emptied = std::move(emptied)] {
      for (const auto& acceptor : acceptors_) acceptor->stop();
      closed();
      loop_->stop(goes_on, emptied);
      start_ticking();
    });
  }

  void dismiss_idle() {
    asio::post(io_, [this] { loop_->dismiss_idle(); });
  }

  void look() {
    asio::post(io_, [this] {
      for (const auto& acceptor : acceptors_) acceptor->look();
      start_ticking();
    });
  }

  void abort() {
    loop_->cut();
    asio::post(io_, [this] { loop_->abort(); });
  }

  void pass_by(std::function<void()> done) { asio::post(io_, std::move(done)); }

  void when_free(const app::Generation& generation, std::function<void()> done) {
    asio::post(io_, [this, &generation, done = std::move(done)]() mutable {
      loop_->when_free(generation, std::move(done));
      start_ticking();
    });
  }

  void leave(app::Generation& generation, std::function<void()> done) {
    asio::post(io_, [this, &generation, done = std::move(done)] {
      generation.leave(loop_->context());
      done();
    });
  }

  void resume() {
    asio::post(io_, [this] { loop_->resume(); });
  }

  app::Generation* running() const { return loop_->running(); }

 private:
  // The kernel wakes the same idle thread again and again, so who accepts sees to it that each
  // has as many connections as the others, but for those that an app keeps busy now. Where there is
  // no room, it looks for somebody who has an idle one to spare. False: this one keeps it.
  bool hand_over(int fd, std::string_view peer, http::Loop::Entry entry) {
    const bool exchanges = entry == http::Loop::Entry::exchange;
    http::Loop* fewest = nullptr;
    std::size_t least = loop_->load();
    for (const Impl* const other : others_) {
      http::Loop* const loop = other->loop_;
      if (exchanges ? !loop->has_idle() : loop->load() >= least || loop->running() != nullptr) {
        continue;
      }
      fewest = loop;
      least = loop->load();
    }
    return fewest != nullptr && fewest->hand_in(fd, peer, entry);
  }

  bool shed_elsewhere(std::size_t count = 1) {
    const auto idle = std::find_if(others_.begin(), others_.end(),
                                   [](const Impl* other) { return other->loop_->has_idle(); });
    if (idle == others_.end()) return false;
    asio::post((*idle)->io_, [other = *idle, count] {
      for (std::size_t i = 0; i < count && other->loop_->shed_idle(); ++i) {
      }
    });
    return true;
  }

  // `made` is told when the thread serves, or why it cannot.
  void run(std::promise<void>& made) {
    std::unique_ptr<http::Loop> loop;
    try {
      loop = std::make_unique<http::Loop>(shared_.router, shared_.limits, shared_.executor,
                                          shared_.places, http::AccessLog::of_process(),
                                          shared_.hold_time);
      for (const int fd : listening_) {
        acceptors_.push_back(std::make_unique<Acceptor>(
            *loop, fd, shared_.places, [this] { return shed_elsewhere(); },
            [this](int accepted, std::string_view peer, http::Loop::Entry entry) {
              return hand_over(accepted, peer, entry);
            }));
      }
      sockets_.assign(::fcntl(loop->sockets().descriptor(), F_DUPFD_CLOEXEC, 0));
    } catch (...) {
      acceptors_.clear();
      return made.set_exception(std::current_exception());
    }
    loop_ = loop.get();
    loop->context().counted_as = index_ + 1;
    app::set_thread_role(SONICORN_THREAD_IO);
    core::ask_for_short_turns();
    shared_.services.watchdog.watch_requests(
        loop->context(), shared_.limits.request_time,
        {.kind = "an I/O thread",
         .remedy = "An app that may take long declares that it blocks",
         .limit = shared_.limits.loop_time,
         .tell = shared_.services.on_stuck});
    watch();
    made.set_value();
    for (const app::App* each : shared_.apps) join(*each);
    io_.run();
    acceptors_.clear();
    loop->abort();
    app::Generation::leave_thread(loop->context());
    shared_.services.watchdog.forget(loop->context());
  }

  // Before the first request, so that none waits for it.
  void join(const app::App& app) {
    app::Generation* const generation = app.serving();
    if (generation != nullptr && !generation->traits().blocking &&
        (generation->handles_requests() || generation->filters_requests())) {
      static_cast<void>(generation->join_thread(loop_->context()));
    }
  }

  // Asio's reactor watches the whole set as one descriptor.
  void watch() {
    sockets_.async_wait(asio::posix::stream_descriptor::wait_read,
                        [this](const boost::system::error_code& error) {
                          if (error) return;
                          loop_->serve_ready();
                          start_ticking();
                          watch();
                        });
  }

  // Time passes only for those who wait: with no connection there is no timer.
  void start_ticking() {
    const bool hurries = somebody_paused() || loop_->has_queued();
    if (loop_->size() == 0 && !hurries) return;
    const std::chrono::milliseconds wait = hurries ? kHaste : kTick;
    if (ticking_.count() != 0 && ticking_ <= wait) return;
    ticking_ = wait;
    timer_.expires_after(wait);
    timer_.async_wait([this](const boost::system::error_code& error) {
      if (error) return;  // another one is quicker
      ticking_ = {};
      loop_->tick();
      if (loop_->has_queued()) shed_elsewhere(loop_->queued());
      for (const auto& acceptor : acceptors_) acceptor->resume();
      start_ticking();
    });
  }

  bool somebody_paused() const {
    return std::any_of(acceptors_.begin(), acceptors_.end(),
                       [](const auto& acceptor) { return acceptor->paused(); });
  }

  // One thread runs it and owns its descriptors and timers; others only post.
  asio::io_context io_;
  asio::posix::stream_descriptor sockets_;
  asio::steady_timer timer_;
  unsigned index_;
  Shared shared_;
  std::vector<int> listening_;
  std::vector<Impl*> others_;
  http::Loop* loop_ = nullptr;
  std::vector<std::unique_ptr<Acceptor>> acceptors_;
  std::chrono::milliseconds ticking_{0};  // until the next tick; 0: there is none
  std::thread thread_;
};

IoThread::IoThread(unsigned index, Shared shared, std::span<const int> listening)
    : impl_(std::make_unique<Impl>(index, shared, listening)) {}

IoThread::~IoThread() = default;

void IoThread::meet(std::span<const std::unique_ptr<IoThread>> all) {
  std::vector<Impl*> others;
  for (const auto& each : all) {
    if (each->impl_ != impl_) others.push_back(each->impl_.get());
  }
  impl_->meet(std::move(others));
}

void IoThread::stop(bool goes_on, std::function<void()> closed, std::function<void()> emptied) {
  impl_->stop(goes_on, std::move(closed), std::move(emptied));
}

void IoThread::dismiss_idle() { impl_->dismiss_idle(); }

void IoThread::look() { impl_->look(); }

void IoThread::abort() { impl_->abort(); }

void IoThread::pass_by(std::function<void()> done) { impl_->pass_by(std::move(done)); }

void IoThread::when_free(const app::Generation& generation, std::function<void()> done) {
  impl_->when_free(generation, std::move(done));
}

void IoThread::leave(app::Generation& generation, std::function<void()> done) {
  impl_->leave(generation, std::move(done));
}

void IoThread::resume() { impl_->resume(); }

app::Generation* IoThread::running() const { return impl_->running(); }

}  // namespace sonicorn::worker
