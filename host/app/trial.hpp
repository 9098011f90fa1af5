#pragma once

#include <chrono>
#include <filesystem>

#include "core/result.hpp"

namespace sonicorn::app {

// Loads `private_copy` in a child, `server_executable trial-load COPY`, so that a constructor that
// crashes, hangs or exits costs nothing. `original` is where the app lies, for messages and for the
// libraries beside it. Blocks until the child ended, at most for about `limit`; what is left of
// its process group is killed then, but not what a constructor of the app moved out of that group
// (setsid, a daemon). Thread-safe; the child itself dies with the calling thread. Errors:
// app.constructor_crashed, app.constructor_hangs, app.constructor_exits, app.load_failed (as the
// child says it), host.trial_failed (the child could not be run).
core::Result<void> trial_load(const std::filesystem::path& server_executable,
                              const std::filesystem::path& private_copy,
                              const std::filesystem::path& original,
                              std::chrono::milliseconds limit);

// What that child runs: loads the copy, writes its answer to standard output, and ends the process
// without running destructors. Never returns.
int trial_load_main(const std::filesystem::path& private_copy);

}  // namespace sonicorn::app
