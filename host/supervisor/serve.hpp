#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "config/load.hpp"
#include "core/result.hpp"
#include "supervisor/control.hpp"

namespace boost::asio {
class io_context;
}

namespace sonicorn::supervisor {

// What is to be served, and what others add to the supervisor.
struct Order {
  config::Flags flags;    // of the command line, for the workers and to read the file again
  std::string text;       // of the configuration file; empty without one
  config::Config config;  // what the two say, without an error
  // Opens what lets the operator in; lives as long as the result. An error keeps the server from
  // starting.
  std::function<core::Result<std::shared_ptr<void>>(boost::asio::io_context&, Control&,
                                                    const config::Config&)>
      open_control;
  // Where the journal is when the configuration does not say; empty: in memory only.
  std::filesystem::path journal;
  // The configuration of `flags` with this text.
  std::function<config::Loaded(const config::Flags& flags, const std::string& text)> read;
};

// Serves until a signal or the operator stops it. Blocks. The result is the process's exit status:
// 0 after a clean stop, 1 when it could not start or a worker did not end cleanly, 128 + N when a
// second signal N ended it at once. Takes over the signals of the whole process.
int serve(Order order);

}  // namespace sonicorn::supervisor
