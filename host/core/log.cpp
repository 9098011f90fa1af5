#include "core/log.hpp"

#include <fmt/format.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <ctime>
#include <memory>
#include <mutex>
#include <string>

#include "core/line_writer.hpp"
#include "core/text.hpp"

namespace sonicorn::core::log {
namespace {

std::string_view view_of(const spdlog::string_view_t& text) { return {text.data(), text.size()}; }

// The lines for people.
class TextFormatter final : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& line, spdlog::memory_buf_t& to) override {
    if (!has_control(view_of(line.payload))) return pattern_.format(line, to);
    std::string escaped;
    append_line(escaped, view_of(line.payload));
    spdlog::details::log_msg copy = line;
    copy.payload = escaped;
    pattern_.format(copy, to);
  }
  std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<TextFormatter>();
  }

 private:
  spdlog::pattern_formatter pattern_{"%Y-%m-%d %H:%M:%S.%e [%P] %l: %v"};
};

// The app that a message is about, by the words that all of these begin with: "app NAME: ".
std::string_view app_in(std::string_view message) {
  constexpr std::string_view kBegin = "app ";
  if (!message.starts_with(kBegin)) return {};
  message.remove_prefix(kBegin.size());
  const std::size_t end = message.find_first_of(": ");
  return message.substr(std::min(end, message.size())).starts_with(": ") ? message.substr(0, end)
                                                                         : std::string_view();
}

// The lines for machines.
class JsonFormatter final : public spdlog::formatter {
 public:
  void format(const spdlog::details::log_msg& line, spdlog::memory_buf_t& to) override {
    using std::chrono::duration_cast;
    const auto since = line.time.time_since_epoch();
    const auto second = std::chrono::floor<std::chrono::seconds>(since);
    const std::time_t time = second.count();
    std::tm utc{};
    ::gmtime_r(&time, &utc);
    text_ = fmt::format(
        R"({{"time":"{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z","level":"{}","pid":{})",
        utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
        duration_cast<std::chrono::milliseconds>(since - second).count(),
        view_of(spdlog::level::to_string_view(line.level)), ::getpid());
    const std::string_view message = view_of(line.payload);
    if (const std::string_view app = app_in(message); !app.empty()) {
      text_ += ",\"app\":";
      append_json(text_, app);
    }
    text_ += ",\"message\":";
    append_json(text_, message);
    text_ += "}\n";
    to.append(text_.data(), text_.data() + text_.size());
  }
  std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<JsonFormatter>();
  }

 private:
  std::string text_;
};

class Sink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  Sink()
      : spdlog::sinks::base_sink<std::mutex>(std::make_unique<TextFormatter>()),
        writer_(std::make_unique<Outlet>(STDERR_FILENO), dropped_,
                [this](std::uint64_t lines) { return note(lines); }) {}

  LineWriter& writer() { return writer_; }
  std::uint64_t dropped() const { return dropped_.load(); }

 private:
  void sink_it_(const spdlog::details::log_msg& line) override {
    spdlog::memory_buf_t text;
    formatter_->format(line, text);
    writer_.write({text.data(), text.size()});
  }
  void flush_() override {}

  void set_formatter_(std::unique_ptr<spdlog::formatter> formatter) override {
    const std::lock_guard lock(noting_);
    for_notes_ = formatter->clone();
    formatter_ = std::move(formatter);
  }

  // Its own formatter: this may come from the writer's thread.
  std::string note(std::uint64_t lines) {
    const std::string message = fmt::format(
        "{} line(s) of this log were dropped here, for they could not be written", lines);
    const std::lock_guard lock(noting_);
    spdlog::memory_buf_t text;
    for_notes_->format({"sonicorn", spdlog::level::warn, message}, text);
    return {text.data(), text.size()};
  }

  std::atomic<std::uint64_t> dropped_{0};
  std::mutex noting_;
  std::unique_ptr<spdlog::formatter> for_notes_ = std::make_unique<TextFormatter>();
  LineWriter writer_;
};

// Neither is ever destroyed: the watchdog, and threads that apps leave behind, log while the
// process exits.
Sink& sink() {
  static auto* const instance = new Sink();
  return *instance;
}

spdlog::logger& logger() {
  static auto* const instance = [] {
    // Shares what is never destroyed, so it owns nothing.
    auto* const made = new spdlog::logger(
        "sonicorn", std::shared_ptr<spdlog::sinks::sink>(std::shared_ptr<void>(), &sink()));
    // A line that cannot be made must not stop the server.
    made->set_error_handler([](const std::string&) {});
    return made;
  }();
  return *instance;
}

spdlog::level::level_enum spdlog_level(Level level) {
  switch (level) {
    case Level::debug:
      return spdlog::level::debug;
    case Level::info:
      return spdlog::level::info;
    case Level::warning:
      return spdlog::level::warn;
    case Level::error:
      return spdlog::level::err;
  }
  return spdlog::level::err;
}

}  // namespace

void set_level(Level level) { logger().set_level(spdlog_level(level)); }

std::optional<Level> level_from(std::string_view name) {
  if (name == "debug") return Level::debug;
  if (name == "info") return Level::info;
  if (name == "warning") return Level::warning;
  if (name == "error") return Level::error;
  return std::nullopt;
}

bool enabled(Level level) { return logger().should_log(spdlog_level(level)); }

void write(Level level, std::string_view text) { logger().log(spdlog_level(level), text); }

void set_format(Format format) {
  std::unique_ptr<spdlog::formatter> formatter = std::make_unique<TextFormatter>();
  if (format == Format::json) formatter = std::make_unique<JsonFormatter>();
  sink().set_formatter(std::move(formatter));
}

std::optional<Format> format_from(std::string_view name) {
  if (name == "text") return Format::text;
  if (name == "json") return Format::json;
  return std::nullopt;
}

Result<void> open_file(const std::filesystem::path& path) { return sink().writer().open(path); }

Result<void> open_file_when_possible(const std::filesystem::path& path) {
  return sink().writer().open_when_possible(path);
}

void reopen() {
  if (const auto reopened = sink().writer().reopen(); !reopened) {
    error("the log file {}; it goes on into the old one", reopened.error().message);
  }
}

bool flush(std::chrono::milliseconds limit) { return sink().writer().flush(limit); }

std::uint64_t dropped() { return sink().dropped(); }

std::atomic<std::uint64_t>& dropped_access_lines() {
  static std::atomic<std::uint64_t> count{0};
  return count;
}

}  // namespace sonicorn::core::log
