#pragma once

#include <csignal>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "support/files.hpp"
#include "support/process.hpp"

namespace support {

// Where a server listens.
struct Endpoint {
  std::string host;  // of TCP; empty: a Unix socket
  std::string port;
  std::filesystem::path path;  // of the Unix socket
};

// What to serve. `files` are [MOUNT=]FILE arguments, `toml` the text of a configuration file; one
// of them names the apps. They have long to load, unless `toml` has a load_time. Without `binds`
// the server listens on a free port of 127.0.0.1 and on a Unix socket.
struct ServerOptions {
  std::vector<std::string> files = {};
  std::string toml = {};
  std::vector<std::string> arguments = {};
  std::vector<std::string> binds = {};
  std::size_t descriptors = 0;  // the limit of open files; 0: as this program's
};

// "MOUNT=FILE" of a fixture app.
std::string mounted(std::string_view mount, std::string_view fixture_name);

// One [[app]] of a configuration: a fixture app, and more lines for its entry.
std::string app_entry(std::string_view mount, std::string_view fixture_name,
                      std::string_view more = {});

// A running server. When it goes out of scope it is stopped with SIGTERM, and a status other than 0
// or a sanitizer's report is a failure of the test.
class Server {
 public:
  // Returns when it listens on all its binds; throws with its log when it does not come to that.
  explicit Server(const ServerOptions& options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  const Endpoint& tcp() const { return tcp_; }
  const Endpoint& unix_socket() const { return unix_; }
  const std::vector<std::string>& listening() const { return listening_; }
  Process& process() { return *process_; }
  // The processes that serve, in no order; throws when they cannot be found out.
  std::vector<pid_t> workers() const;
  // Whether that process is none of them any more, and there are `count`.
  bool has_replaced(pid_t worker, std::size_t count = 1) const;
  // The only one.
  pid_t worker() const { return workers().at(0); }
  std::string log() const { return process_->errors(); }

  // The folder of its socket, its configuration and its private copies (in runtime/).
  const TemporaryFolder& folder() const { return folder_; }

  // Waits until a stop that was asked for has begun: nobody new is let in. False when it does not.
  bool refuses_connections() const;

  // The server is meant to end otherwise than with status 0.
  void expect_failure() { may_fail_ = true; }

  // Waits for the end that was asked for; throws when it does not come in time.
  Ending ending();

  // Sends the signal, unless it ended before, and waits for the end; throws when it does not come
  // in time.
  Ending stop(int signal = SIGTERM);

 private:
  void wait_until_listening(std::size_t binds);

  TemporaryFolder folder_;
  std::unique_ptr<Process> process_;
  std::vector<std::string> listening_;
  Endpoint tcp_;
  Endpoint unix_;
  bool may_fail_ = false;
};

}  // namespace support
