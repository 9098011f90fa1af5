#pragma once

namespace sonicorn::cli {

// The whole program: reads the command line, runs the subcommand it names, and returns the exit
// status: 0 it did what was asked, 1 it could not, 2 the command line is wrong.
int run(int argc, const char* const* argv) noexcept;

}  // namespace sonicorn::cli
