#pragma once

#include <chrono>
#include <filesystem>
#include <string_view>

#include "core/error.hpp"
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

// What the end of a child that loaded a copy of `original` and gave that `answer` means. Errors: as
// above.
core::Result<void> trial_verdict(int wait_status, std::string_view answer,
                                 const std::filesystem::path& server_executable,
                                 const std::filesystem::path& original);
// The same of one that did not end within `limit`.
core::Error loads_too_long(const std::filesystem::path& original, std::chrono::milliseconds limit);

// Loads the copy in this process, writes the answer to `answer`, and ends the process without
// running destructors. Crashes are left to the kernel; what constructors print goes to standard
// error.
[[noreturn]] void load_and_end(const std::filesystem::path& private_copy,
                               const std::filesystem::path& original, int answer);

// What that child runs: loads the copy, writes its answer to standard output, and ends the process
// without running destructors. Never returns.
int trial_load_main(const std::filesystem::path& private_copy);

}  // namespace sonicorn::app
