#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <mutex>
#include <sonicorn/app.hpp>
#include <stdexcept>
#include <string>
#include <thread>

SONICORN_MANIFEST({"blocking": false, "uses": ["shutdown/1", "background/1", "log/1"]});

namespace {

using sonicorn::Level;

// Does a piece of work a second beside the requests: in a thread of the server's where it has some
// to give, else in one of its own, which `shutdown` stops.
class BackgroundThread {
 public:
  explicit BackgroundThread(sonicorn::Server& server)
      : server_(server), background_(server.capability<sonicorn_background>()) {
    if (background_ != nullptr) {
      start_server_thread();
      return;
    }
    if (server.capability<sonicorn_shutdown_promise>() == nullptr) {
      server.log(Level::warning, "this server delivers no shutdown/1: the thread may be cut off");
    }
    own_thread_ = std::thread([this] { work([this] { return wait_here(); }); });
  }

  sonicorn::Response on_request(const sonicorn::Request&) {
    char text[64];
    std::snprintf(text, sizeof text, "The background thread has done %llu pieces of work.\n",
                  static_cast<unsigned long long>(done_.load()));
    return sonicorn::Response::text(text);
  }

  // The server has stopped and joined its thread before.
  void shutdown(const sonicorn::Shutdown& why) {
    server_.log(Level::info, "asked to stop: " + std::string(why.reason_name()));
    if (!own_thread_.joinable()) return;
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_one();
    own_thread_.join();
    server_.log(Level::info, "the thread of its own has ended");
  }

 private:
  void start_server_thread() {
    const auto body = [](sonicorn_stop_token* stop, void* argument) {
      auto& self = *static_cast<BackgroundThread*>(argument);
      self.work([&] { return self.background_->wait(stop, 1000) != 0; });
    };
    if (background_->start(server_.c(), "work", body, this) != SONICORN_OK) {
      throw std::runtime_error("the server has no thread to give");
    }
  }

  // `wait` sleeps a second, and says whether to stop.
  template <class Wait>
  void work(Wait wait) {
    server_.log(Level::info, "the background thread runs");
    while (!wait()) ++done_;
    server_.log(Level::info, "the background thread puts its work away");
  }

  bool wait_here() {
    std::unique_lock lock(mutex_);
    return wake_.wait_for(lock, std::chrono::seconds(1), [this] { return stopping_; });
  }

  sonicorn::Server& server_;
  const sonicorn_background* background_;
  std::atomic<std::uint64_t> done_ = 0;

  // For a thread of its own.
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::thread own_thread_;
};

}  // namespace

SONICORN_APP(BackgroundThread, on_request, shutdown)
