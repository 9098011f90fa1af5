#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "core/backtrace.hpp"
#include "core/crash_report.hpp"

// Any bytes are a report that is one line and frames within their bounds, or an error.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace sonicorn::core;
  const auto report = parse_crash_report({reinterpret_cast<const std::byte*>(data), size});
  if (!report) {
    if (report.error().message.empty()) std::abort();
    return 0;
  }
  if (report->frames.size() > kMostFrames) std::abort();
  for (const CrashReport::Frame& frame : report->frames) {
    if (frame.object.size() > kLongestObjectPath) std::abort();
  }
  const std::string line = summary(*report);
  if (std::any_of(line.begin(), line.end(), [](char c) { return c < ' ' || c > '~'; })) {
    std::abort();
  }
  if (to_lines(plain_frames(*report)).size() != report->frames.size()) std::abort();
  return 0;
}
