#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "core/error.hpp"
#include "process/child.hpp"

namespace sonicorn::process {

// A command that is run to its end.
struct RunRequest {
  std::vector<std::string> argv;  // never empty
  std::string file;               // what is executed; empty: argv[0], looked for in PATH
  std::vector<std::pair<std::string, std::string>> environment;  // added to this process's own
  std::string input;                                             // any bytes; its standard input
  std::chrono::milliseconds limit{10'000};
  std::size_t most_output = 64 * 1024;  // what is beyond is read and dropped
};

// What came of it.
struct RunEnd {
  int wait_status = 0;     // as waitpid tells; means nothing with `timed_out` or `error`
  std::string output;      // the beginning of its standard output and standard error, as they came
  bool cut = false;        // there was more output
  bool timed_out = false;  // it was killed with its process group, for it outlived its limit
  std::optional<core::Error> error;  // it was not run

  // Whether it exited with status 0.
  bool ok() const;
  // "status 3", "signal 11 (Segmentation fault)"; REQUIRES: neither timed_out nor error.
  std::string ending() const;
};

// Runs a command without waiting for it. `done` is called once, from `io`, never by this function;
// neither a command that hangs nor one that leaves processes behind delays it for longer than the
// limit. What it leaves behind lives on, unless the limit was reached. On the thread of `io`
// children.reap() must be called after each SIGCHLD. `io` must outlive `children`; when both end
// first, `done` is not called. Whether it could be started is told by `done` too; error:
// host.child_not_run.
void run(boost::asio::io_context& io, Children& children, RunRequest request,
         std::function<void(RunEnd)> done);

}  // namespace sonicorn::process
