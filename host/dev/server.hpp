#pragma once

#include <array>
#include <boost/asio/io_context.hpp>
#include <boost/asio/local/datagram_protocol.hpp>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "admin/client.hpp"
#include "core/result.hpp"
#include "dev/command.hpp"
#include "process/child.hpp"

namespace sonicorn::dev {

// The server that runs the developer's apps: `sonicorn serve`, a child process, on a Unix socket.
// What it says goes on to standard error. For the thread of `io`.
class Server {
 public:
  struct Listener {
    // It serves.
    std::function<void()> on_ready;
    // It ended by itself, or was stopped. `how`: "status 1"; `words`: the last that it said.
    std::function<void(const std::string& how, const std::string& words)> on_end;
  };

  // `folder`, private and the server's alone, is for its sockets.
  Server(boost::asio::io_context& io, process::Children& children, std::filesystem::path folder,
         Listener listener);

  // Opens the socket on which a server says that it is ready, and writes its configuration. Error:
  // host.dev_socket.
  core::Result<void> open();

  // Where it answers requests. Each start has its own: what is left of a server that was killed
  // may listen on its socket for a while.
  std::string requests_socket() const {
    return folder_ / ("requests-" + std::to_string(starts_) + ".sock");
  }

  // Starts it. `apps` are [MOUNT=]FILE. REQUIRES: not is_running(). Error: host.child_not_run.
  core::Result<void> start(const std::vector<std::string>& apps);
  bool is_running() const { return command_ != nullptr; }
  bool is_ready() const { return is_ready_; }

  // What a server says to being asked to load its apps again.
  struct Answer {
    bool ok = false;
    std::string why_not = {};
  };
  static Answer answer_of(const core::Result<admin::Reply>& reply);

  // Asks it; `done` is called once, on the thread of `io`. REQUIRES: no other one on its way.
  void reload(std::function<void(const Answer&)> done);

  // SIGTERM: stops it in order; SIGKILL: at once, with its workers. on_end follows.
  void send_signal(int signal) const;

 private:
  void await_word();
  void on_word(std::string_view word);

  boost::asio::io_context& io_;
  process::Children& children_;
  std::filesystem::path folder_;
  Listener listener_;
  boost::asio::local::datagram_protocol::socket words_;
  std::array<char, 4096> word_{};
  std::shared_ptr<Command> command_;
  unsigned starts_ = 0;
  bool is_ready_ = false;
  std::string said_;
  std::jthread asker_;
};

}  // namespace sonicorn::dev
