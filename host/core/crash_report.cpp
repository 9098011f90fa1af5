#include "core/crash_report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <string_view>

#include "core/symbols.hpp"

namespace sonicorn::core {
namespace {

// Takes pieces off the front of the bytes.
class Reader {
 public:
  explicit Reader(std::span<const std::byte> bytes) : bytes_(bytes) {}

  // False, and nothing is taken, when there is not that much.
  template <class T>
  bool take(T& to) {
    static_assert(std::is_trivially_copyable_v<T>);
    if (bytes_.size() < sizeof(T)) return false;
    std::memcpy(&to, bytes_.data(), sizeof(T));
    bytes_ = bytes_.subspan(sizeof(T));
    return true;
  }
  bool take(std::string& to, std::size_t size) {
    if (bytes_.size() < size) return false;
    to.assign(reinterpret_cast<const char*>(bytes_.data()), size);
    bytes_ = bytes_.subspan(size);
    return true;
  }

 private:
  std::span<const std::byte> bytes_;
};

template <std::size_t kSize>
std::string text_of(const std::array<char, kSize>& field) {
  std::string text(field.begin(), std::find(field.begin(), field.end(), '\0'));
  for (char& c : text) {
    if (c < ' ' || c > '~') c = '?';
  }
  return text;
}

bool is_known(CrashKind kind) {
  return kind == CrashKind::signal || kind == CrashKind::exit || kind == CrashKind::quick_exit;
}

// Up to the first that is cut off or makes no sense.
void read_frames(Reader& reader, CrashReport& report) {
  FrameHeader frame{};
  while (reader.take(frame)) {
    if (frame.path_size == kEndOfFrames) {
      report.whole = true;
      return;
    }
    CrashReport::Frame read{frame.code, frame.offset, {}};
    if (report.frames.size() == kMostFrames || frame.path_size > kLongestObjectPath ||
        !reader.take(read.object, frame.path_size)) {
      return;
    }
    report.frames.push_back(std::move(read));
  }
}

std::string signal_text(int signal) {
  const char* const name = ::sigabbrev_np(signal);
  return name != nullptr ? fmt::format("SIG{}", name) : fmt::format("signal {}", signal);
}

std::string cause(const CrashReport& report) {
  switch (report.kind) {
    case CrashKind::exit:
      return fmt::format("exit({})", report.status);
    case CrashKind::quick_exit:
      return "quick_exit()";
    case CrashKind::signal:
      break;
  }
  std::string text = signal_text(report.signal);
  if (report.stack_overflow) text += " (stack overflow)";
  if (report.code > 0 && report.signal != SIGTRAP && report.signal != SIGSYS) {
    text += fmt::format(" at {:#x}", report.address);
  }
  if (report.code <= 0 && report.sender != report.process) {
    text += fmt::format(" from process {}", report.sender);
  }
  return text;
}

}  // namespace

Result<CrashReport> parse_crash_report(std::span<const std::byte> bytes) {
  Reader reader(bytes);
  CrashHeader header{};
  if (!reader.take(header) || header.magic != kCrashMagic || !is_known(header.kind)) {
    return host_error("core.no_crash_report",
                      fmt::format("these {} bytes are no crash report", bytes.size()));
  }
  CrashReport report{.kind = header.kind,
                     .signal = header.signal,
                     .code = header.code,
                     .address = header.address,
                     .sender = header.sender,
                     .stack_overflow = header.stack_overflow != 0,
                     .status = header.status,
                     .process = header.process,
                     .thread = header.thread,
                     .thread_name = text_of(header.thread_name),
                     .app = text_of(header.place.app),
                     .build_id = text_of(header.place.build_id),
                     .generation = header.place.generation,
                     .what = text_of(header.place.what),
                     .frames = {},
                     .whole = false};
  read_frames(reader, report);
  return report;
}

std::string summary(const CrashReport& report) {
  const std::string thread = fmt::format("thread {} {}", report.thread, report.thread_name);
  if (report.app.empty()) {
    return fmt::format("the worker ended by {}, and no app is known to have run ({})",
                       cause(report), thread);
  }
  return fmt::format("app {}: {} ended the worker by {} (generation {}, {})", report.app,
                     report.what, cause(report), report.generation, thread);
}

std::vector<Frame> plain_frames(const CrashReport& report) {
  std::vector<Frame> frames;
  frames.reserve(report.frames.size());
  for (const CrashReport::Frame& frame : report.frames) {
    frames.push_back({.function = {},
                      .file = frame.object.substr(frame.object.rfind('/') + 1),
                      .offset = frame.offset,
                      .source = {},
                      .line = 0});
  }
  return frames;
}

std::vector<Frame> named_frames(const CrashReport& report) {
  Symbols symbols = Symbols::of_files();
  std::vector<Frame> frames;
  frames.reserve(report.frames.size());
  for (const CrashReport::Frame& frame : report.frames) {
    frames.push_back(symbols.frame_in(frame.object, frame.offset));
  }
  return frames;
}

}  // namespace sonicorn::core
