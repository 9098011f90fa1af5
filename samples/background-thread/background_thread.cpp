#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdio>
#include <mutex>
#include <sonicorn/app.hpp>
#include <string>
#include <thread>

SONICORN_MANIFEST({"blocking": false, "uses": ["shutdown/1", "log/1"]});

namespace {

using sonicorn::Level;

// Does a piece of work a second beside the requests, until `shutdown` stops it.
class BackgroundThread {
 public:
  explicit BackgroundThread(sonicorn::Server& server) : server_(server) {
    if (server.capability<sonicorn_shutdown_promise>() == nullptr) {
      server.log(Level::warning, "this server delivers no shutdown/1: the thread may be cut off");
    }
    thread_ = std::thread([this] { work(); });
  }

  sonicorn::Response on_request(const sonicorn::Request&) {
    char text[64];
    std::snprintf(text, sizeof text, "The background thread has done %llu pieces of work.\n",
                  static_cast<unsigned long long>(done_.load()));
    return sonicorn::Response::text(text);
  }

  void shutdown(const sonicorn::Shutdown& why) {
    server_.log(Level::info, "asked to stop: " + std::string(why.reason_name()));
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    wake_.notify_one();
    thread_.join();
    server_.log(Level::info, "the background thread has ended");
  }

 private:
  void work() {
    server_.log(Level::info, "the background thread runs");
    std::unique_lock lock(mutex_);
    while (!wake_.wait_for(lock, std::chrono::seconds(1), [this] { return stopping_; })) ++done_;
    server_.log(Level::info, "the background thread puts its work away");
  }

  sonicorn::Server& server_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  std::atomic<std::uint64_t> done_ = 0;
  std::thread thread_;
};

}  // namespace

SONICORN_APP(BackgroundThread, on_request, shutdown)
