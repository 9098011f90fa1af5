#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "conformance/finding.hpp"

namespace sonicorn::conformance {

struct Options {
  std::filesystem::path file;
  std::string settings = "{}";                   // JSON object
  unsigned runs = 50;                            // of load, start, stop, unload
  std::chrono::milliseconds time_limit{10'000};  // for each call into the app
};

// What one scenario came to.
struct Result {
  std::string scenario;
  std::string skipped;  // why it was not run; empty: it was
  std::vector<Finding> findings;
  std::chrono::duration<double> duration{0};

  // Whether no finding is an error.
  bool ok() const;
};

// What a whole check came to.
struct Report {
  std::filesystem::path file;
  std::string name;     // of the app
  std::string version;  // empty when it has none
  std::vector<Result> results;

  bool ok() const;
  std::size_t count(Level level) const;
};

// Runs the app through all scenarios: each in a child process, `executable` with the arguments
// "check-child" and a Task, so that a crash or a hang of the app is a finding. `on_result` is
// called after each scenario, for who shows progress. Blocks; what the check itself cannot do is a
// finding, too (check.not_run).
Report check(const Options& options, const std::filesystem::path& executable,
             const std::function<void(const Report& so_far)>& on_result);

}  // namespace sonicorn::conformance
