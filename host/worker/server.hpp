#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "app/app.hpp"
#include "app/runtime_dir.hpp"
#include "config/config.hpp"
#include "routing/router.hpp"
#include "worker/blocking_pool.hpp"
#include "worker/io_thread.hpp"
#include "worker/listening_socket.hpp"

namespace sonicorn::worker {

// The life of one serving process, on its main thread: bring the apps up, serve, and on a signal
// stop in order: accept no more, let requests end, shut the apps down. Every step that may wait is
// an event of the main loop, so a signal is heard at any moment.
class Server {
 public:
  explicit Server(const config::Config& config);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Returns the exit status. Ends the process by itself only when something in it cannot be joined.
  int run();

 private:
  using Clock = std::chrono::steady_clock;

  enum class Stage { starting, serving, draining, shutting_down, done };

  // What the thread that starts the apps found out.
  struct BroughtUp {
    bool ok = false;
    std::vector<app::App*> started;
  };

  void watch_signals();
  void on_signal(int number);

  void bring_up();
  bool load_all();
  void start_each(BroughtUp& outcome);
  void on_brought_up(const BroughtUp& outcome);
  bool bind_sockets();
  bool listen_all();
  void begin_serving();

  void begin_stop();
  void on_thread_closed();
  void on_thread_emptied();
  void on_grace_over();
  void drained();
  bool stuck(const app::App& app) const;
  void shut_down(std::vector<app::App*> apps);
  void on_app_shut_down();
  void on_shutdown_overdue();
  void finish();

  const config::Config& config_;
  boost::asio::io_context io_{1};
  boost::asio::posix::stream_descriptor signals_{io_};
  boost::asio::steady_timer timer_{io_};

  Stage stage_ = Stage::starting;
  app::StopReason why_;
  Clock::time_point signalled_;  // the first stop signal
  Clock::time_point grace_ends_;
  std::atomic<bool> stop_wanted_{false};
  int status_ = 0;

  std::optional<app::RuntimeDir> copies_;
  std::vector<std::unique_ptr<app::App>> apps_;
  std::vector<app::App*> started_;
  routing::Router router_;
  std::thread starter_;
  std::atomic<const app::App*> starting_{nullptr};

  std::vector<ListeningSocket> sockets_;
  std::atomic<std::size_t> connections_{0};
  std::unique_ptr<BlockingPool> pool_;
  std::vector<std::unique_ptr<IoThread>> threads_;
  std::size_t accepting_ = 0;      // I/O threads that still accept
  std::size_t occupied_ = 0;       // I/O threads that still have connections
  std::size_t shutting_down_ = 0;  // apps whose shutdown has not returned
  bool unclean_ = false;           // a thread cannot be joined
};

}  // namespace sonicorn::worker
