#pragma once

#include <string>

namespace sonicorn::conformance {

// What a child of a check runs: `task` is a Task as JSON. Writes messages to standard output, and
// ends the process without running destructors, for the app's threads may be anywhere. Never
// returns.
[[noreturn]] void check_child_main(const std::string& task);

}  // namespace sonicorn::conformance
