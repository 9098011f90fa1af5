#pragma once

#include <functional>
#include <memory>

#include "config/load.hpp"
#include "core/result.hpp"
#include "worker/overview.hpp"

namespace boost::asio {
class io_context;
}

namespace sonicorn::worker {

// What others add to a server.
struct Extensions {
  // Reads the configuration again, for a reload.
  std::function<config::Loaded()> reread;
  // Opens what shows the overview to the operator; lives as long as the result. An error keeps the
  // server from starting. May be empty.
  std::function<core::Result<std::shared_ptr<void>>(boost::asio::io_context&, Overview&)>
      open_admin;
};

// Loads and starts the apps, serves them until a stop signal, and shuts them down. Blocks. The
// result is the process's exit status: 0 after a clean stop, 1 when it could not start or could not
// end cleanly. Takes over SIGTERM, SIGINT, SIGQUIT and SIGHUP, ignores SIGPIPE and resets
// SIGCHLD, for the whole process.
int serve(const config::Config& config, const Extensions& extensions);

}  // namespace sonicorn::worker
