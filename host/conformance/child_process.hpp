#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.hpp"

namespace sonicorn::conformance {

// How a child ended and what it wrote.
struct ChildEnd {
  bool timed_out = false;  // it was killed for that
  int exit_status = -1;    // -1 when a signal ended it
  int signal = 0;          // 0 when it exited
  std::string errors;      // the last part of its standard error
};

// Runs `executable` with `arguments` to its end, with default signals, in a process group of its
// own, and with nothing open but the three standard descriptors. `on_line` gets each line of its
// standard output. Blocks; the child is killed when it has written no line for `patience`, and what
// is left of its group is killed in any case, but not what moved out of that group (setsid, a
// daemon). Error: host.child_not_run.
core::Result<ChildEnd> run_child(const std::filesystem::path& executable,
                                 const std::vector<std::string>& arguments,
                                 std::chrono::milliseconds patience,
                                 const std::function<void(std::string_view line)>& on_line);

}  // namespace sonicorn::conformance
