#pragma once

#include "config/config.hpp"

namespace sonicorn::worker {

// Loads and starts the apps, serves them until a stop signal, and shuts them down. Blocks. The
// result is the process's exit status: 0 after a clean stop, 1 when it could not start or could not
// end cleanly. Takes over SIGTERM, SIGINT, SIGQUIT and SIGHUP, ignores SIGPIPE and resets
// SIGCHLD, for the whole process.
int serve(const config::Config& config);

}  // namespace sonicorn::worker
