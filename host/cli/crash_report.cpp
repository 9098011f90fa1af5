#include "core/crash_report.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "cli/command.hpp"

namespace sonicorn::cli {
namespace {

constexpr std::size_t kLargest = std::size_t{1} << 20;  // bytes, more than any report has

std::vector<std::byte> read_standard_input() {
  std::vector<std::byte> bytes(kLargest);
  std::size_t size = 0;
  while (size < bytes.size()) {
    const ssize_t count = ::read(STDIN_FILENO, bytes.data() + size, bytes.size() - size);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    size += static_cast<std::size_t>(count);
  }
  bytes.resize(size);
  return bytes;
}

int print_crash_report() {
  const auto report = core::parse_crash_report(read_standard_input());
  if (!report) {
    const core::Error error = report.error();
    print_errors({&error, 1});
    return kFailed;
  }
  for (const std::string& line : core::to_lines(core::named_frames(*report))) {
    fmt::print("{}\n", line);
  }
  return kDone;
}

}  // namespace

// Internal: the server starts it as a child, to which it gives the report that a worker has left,
// so that what reading debug information costs is gone with the child.
Command add_crash_report(CLI::App& root) {
  CLI::App* const app = root.add_subcommand(
      "crash-report", "Read a crash report and print its backtrace with names (internal)");
  app->group("");
  return {app, print_crash_report};
}

}  // namespace sonicorn::cli
