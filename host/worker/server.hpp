#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "app/services.hpp"
#include "config/config.hpp"
#include "process/channel.hpp"
#include "worker/apps.hpp"
#include "worker/blocking_pool.hpp"
#include "worker/io_thread.hpp"
#include "worker/listening_socket.hpp"
#include "worker/replacement.hpp"
#include "worker/serve.hpp"
#include "worker/traffic.hpp"

namespace sonicorn::worker {

// The life of one worker, on its main thread: bring the apps up, serve, and when told to stop do so
// in order: tell the apps, accept no more, let requests end, shut the apps down. Every step that
// may wait is an event of the main loop, so the supervisor and signals are heard at any moment.
// It stays until the process ends: static destructors of apps, threads that they left behind, and
// the watchdog go on to the last moment, and what they ask for is queued here, if for nobody.
class Server final : private Traffic {
 public:
  Server(config::Config config, Post post);
  ~Server() = delete;
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Returns the exit status. Ends the process by itself only when something in it cannot be joined.
  int run();

 private:
  using Clock = std::chrono::steady_clock;

  enum class Stage {
    starting,
    readying,
    prepared,
    serving,
    noticing,
    draining,
    shutting_down,
    done
  };

  void open();
  void watch_signals();
  void watch_stray_signals();
  void on_signal(int number);
  void on_stop_signal(int number, bool told = false);
  void on_message(const nlohmann::json& message);
  void on_supervisor_gone();
  void on_stop_message(const nlohmann::json& message);
  void on_prepare(const nlohmann::json& message);
  void on_exchange(const nlohmann::json& message);
  void on_commit(const nlohmann::json& message);
  void on_drop(const nlohmann::json& message);
  std::vector<Replacement::Part> parts_of(const nlohmann::json& message,
                                          const config::Config& config, std::string& fault) const;
  void commit(std::function<void(std::string)> done);
  void drop(std::function<void(std::string)> done);
  void on_rest();
  void settle(std::function<void()> then);
  void on_ask(const nlohmann::json& message);
  void say(const char* what, nlohmann::json more = nlohmann::json::object());
  void answer(const nlohmann::json& id, nlohmann::json answer);
  void tell_readiness();
  void tell_life(const app::LifeEvent& event);
  void on_control(const app::ControlRequest& request);
  void on_stuck(const app::Watchdog::Call& call);

  void bring_up();
  void on_brought_up(bool ok);
  void begin_serving();
  bool start_threads();

  // `goes_on`: the server does, in other workers.
  void stop(app::Occasion why, bool goes_on = false);
  void dismiss_idle();
  void give_notice();
  void on_noticed();
  void on_thread_closed();
  void on_thread_emptied();
  void on_apps_drained();
  void end_if_drained();
  void on_grace_over();
  void drained();
  bool is_busy(const app::Generation& generation) const;
  std::vector<Apps::Wanted> builds() const;

  // Traffic (server_traffic.cpp)
  void when_rerouted(std::function<void()> done) override;
  void when_left(app::Generation& generation, std::function<void()> done) override;
  void resume() override;
  void each_thread(const std::function<void(IoThread&, std::function<void()>)>& use,
                   std::function<void()> done);
  bool is_starting() const {
    return stage_ == Stage::starting || stage_ == Stage::readying || stage_ == Stage::prepared;
  }
  void shut_down();
  void on_shutdown_overdue();
  void finish();
  template <class Then>
  void at(Clock::time_point when, Stage only_in, Then then);

  bool is_ready(std::string& why_not) const;
  nlohmann::json numbers() const;

  const config::Config config_;
  const Post post_;
  boost::asio::io_context io_{1};
  std::optional<process::Channel> channel_;  // until nothing is left to say
  boost::asio::posix::stream_descriptor signals_{io_};
  boost::asio::posix::stream_descriptor stray_signals_{io_};
  boost::asio::steady_timer timer_{io_};

  Stage stage_ = Stage::starting;
  app::Occasion why_;  // of the stop
  bool goes_on_ = false;
  bool stop_decided_ = false;
  std::optional<std::string> readiness_;  // what was told last; empty text: ready
  struct Signalled {
    int number = 0;  // 0: not at all
    Clock::time_point at;
  };
  Signalled signalled_;  // to stop, as a process
  Signalled signalled_by_supervisor_;
  Clock::time_point grace_ends_;
  std::atomic<bool> stop_wanted_{false};
  int status_ = 0;

  std::unique_ptr<app::Services> services_;
  std::optional<Apps> apps_;
  std::thread starter_;
  std::vector<std::string> to_quarantine_;  // once they are up
  // A change of what is served, and how far it is: its thread runs, it waits to be told, or it
  // ends.
  enum class Change { none, working, prepared, exchanged, ending };
  std::unique_ptr<Replacement> replacement_;
  Change change_ = Change::none;
  std::function<void()> at_rest_;  // what is due when the step under way has come to its end

  std::vector<ListeningSocket> sockets_;
  http::Places places_;
  std::unique_ptr<BlockingPool> pool_;
  std::vector<std::unique_ptr<IoThread>> threads_;
  std::size_t accepting_ = 0;    // I/O threads that still accept
  std::size_t occupied_ = 0;     // I/O threads that still have connections
  bool requests_ended_ = false;  // no connection, and no call on the pool
  bool apps_drained_ = false;    // every app said so
  bool unclean_ = false;         // a thread cannot be joined
};

}  // namespace sonicorn::worker
