#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "app/build.hpp"
#include "config/config.hpp"

// A build is made in a child process: it reads and copies the file, then loads the copy, so that a
// constructor that crashes, hangs or exits costs nothing.
namespace sonicorn::app {

// What the child of `sonicorn make-build COPY` reads from its standard input.
std::string build_order(const config::App& wanted, const config::Config& config);

// What that child runs. Never returns. Beside the copy it leaves COPY.json, what it found, and
// COPY.answer, whether the copy could be loaded.
[[noreturn]] void build_child_main(const std::filesystem::path& copy, const std::string& order);

// How the child ended: as waitpid tells, or it was killed for it outlived its limit.
struct BuildChildEnd {
  int wait_status = 0;
  bool timed_out = false;
};

// What came of it; takes up what the child left. `executable` is the child's, for messages.
MadeBuild collect_build(const config::App& wanted, const config::Config& config,
                        const std::filesystem::path& copy, const BuildChildEnd& end,
                        const std::filesystem::path& executable);

}  // namespace sonicorn::app
