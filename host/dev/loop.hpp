#pragma once

#include <filesystem>
#include <optional>

#include "config/config.hpp"

namespace sonicorn::dev {

// What `sonicorn dev` is to do.
struct Options {
  std::filesystem::path folder = ".";  // of the project, with its CMakeLists.txt
  config::Bind bind;                   // TCP
  std::filesystem::path build_folder;  // empty: FOLDER/build
};

// Builds the project and serves its apps; again after each change of a source, until SIGINT,
// SIGTERM or SIGHUP. Blocks. Says on standard error what happens, and the browser sees it, too. The
// result is the exit status: 0 it was stopped, 1 it could not begin. Takes over the signals and the
// children of the whole process.
int run(const Options& options);

}  // namespace sonicorn::dev
