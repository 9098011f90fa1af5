#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "config/config.hpp"
#include "core/line_writer.hpp"
#include "core/result.hpp"
#include "http/access_line.hpp"
#include "http/request.hpp"
#include "http/trace_parent.hpp"

namespace sonicorn::http {

// Where the lines about requests go. Nobody waits for their reader: what cannot be written is
// dropped and counted (core::log::dropped_access_lines). Thread-safe.
class AccessLog {
 public:
  // Writes to a file, or for "-" to standard output. Error: host.log_file.
  static core::Result<std::unique_ptr<AccessLog>> make(const std::filesystem::path& path,
                                                       config::AccessLogFormat format);

  // The one of this process, which the loops made from now on write to; none for an empty path.
  // When the file cannot be opened now, which is logged, lines are kept, then dropped, until it can
  // be. Not thread-safe: for the beginning of the process.
  static void open(const std::filesystem::path& path, config::AccessLogFormat format);
  // That one, or null.
  static AccessLog* of_process();

  config::AccessLogFormat format() const { return format_; }

  // Each line with its LF.
  void write(std::string_view lines) { writer_.write(lines); }

  // As core::log::reopen(), with the error in the server's log.
  void reopen();

  // Waits until all lines are written, at most for `limit`; those that are not then are dropped,
  // and the log says how many.
  void end(std::chrono::milliseconds limit);

 private:
  explicit AccessLog(config::AccessLogFormat format);

  config::AccessLogFormat format_;
  core::LineWriter writer_;
};

// The lines of one I/O thread, written together when it has a moment. Not thread-safe.
class AccessLines {
 public:
  // `log` outlives it.
  explicit AccessLines(AccessLog& log) : log_(log), format_(log.format()) {}
  ~AccessLines() { flush(); }
  AccessLines(const AccessLines&) = delete;
  AccessLines& operator=(const AccessLines&) = delete;

  // Has the request carry a valid traceparent: its own, or else a new one.
  [[gnu::cold]] void trace(Request& request);

  // Completes `entry` with the time and the request's id, and keeps its line. `begun_ns`: when the
  // request was there, CLOCK_MONOTONIC.
  void add(AccessEntry entry, std::uint64_t begun_ns);

  void flush();

 private:
  AccessLog& log_;
  AccessLineFormat format_;
  TraceParents trace_parents_;
  std::string lines_;
};

}  // namespace sonicorn::http
