#include "http/access_log.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <utility>

#include "core/log.hpp"
#include "http/characters.hpp"

namespace sonicorn::http {
namespace {

constexpr std::string_view kStandardOutput = "-";
constexpr std::size_t kFlushFrom = 32 * 1024;

// Never destroyed: a thread that cannot be joined may serve to the end of the process.
AccessLog* process_log = nullptr;

std::string note(std::uint64_t lines) {
  core::log::warning("access log: {} line(s) were dropped, for they could not be written", lines);
  return {};
}

}  // namespace

AccessLog::AccessLog(config::AccessLogFormat format)
    : format_(format),
      writer_(std::make_unique<core::Outlet>(STDOUT_FILENO), core::log::dropped_access_lines(),
              &note) {}

core::Result<std::unique_ptr<AccessLog>> AccessLog::make(const std::filesystem::path& path,
                                                         config::AccessLogFormat format) {
  std::unique_ptr<AccessLog> made(new AccessLog(format));
  if (path == kStandardOutput) return made;
  if (const auto opened = made->writer_.open(path); !opened) {
    return core::host_error(
        opened.error().id,
        fmt::format("the access log {}; name another file (--access-log)", opened.error().message));
  }
  return made;
}

void AccessLog::open(const std::filesystem::path& path, config::AccessLogFormat format) {
  if (path.empty()) return;
  process_log = new AccessLog(format);
  if (path == kStandardOutput) return;
  if (const auto opened = process_log->writer_.open_when_possible(path); !opened) {
    core::log::error("the access log {}; lines are kept, then dropped, until it can",
                     opened.error().message);
  }
}

AccessLog* AccessLog::of_process() { return process_log; }

void AccessLog::end(std::chrono::milliseconds limit) {
  if (!writer_.flush(limit)) writer_.give_up();
}

void AccessLog::reopen() {
  if (const auto reopened = writer_.reopen(); !reopened) {
    core::log::error("the access log {}; it goes on into the old one", reopened.error().message);
  }
}

void AccessLines::trace(Request& request) {
  const auto is_one = [](const sonicorn_field& each) {
    return is_named({each.name.data, each.name.size}, kTraceParent);
  };
  const auto count = std::count_if(request.fields.begin(), request.fields.end(), is_one);
  if (count == 1 && !trace_id_of(request.field(kTraceParent)).empty()) return;
  request.set_trace_parent(trace_parents_.make());
}

void AccessLines::add(AccessEntry entry, std::uint64_t begun_ns) {
  TraceParents::Value made{};
  entry.request_id = trace_id_of(entry.request.field(kTraceParent));
  if (entry.request_id.empty()) {
    made = trace_parents_.make();
    entry.request_id = trace_id_of({made.data(), made.size()});
  }
  std::timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  const auto now_ns = static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 +
                      static_cast<std::uint64_t>(now.tv_nsec);
  entry.duration = std::chrono::nanoseconds(now_ns > begun_ns ? now_ns - begun_ns : 0);
  ::clock_gettime(CLOCK_REALTIME, &entry.time);
  format_.append(lines_, entry);
  if (lines_.size() >= kFlushFrom) flush();
}

void AccessLines::flush() {
  if (lines_.empty()) return;
  log_.write(lines_);
  lines_.clear();
}

}  // namespace sonicorn::http
