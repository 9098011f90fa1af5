#pragma once

#include <fmt/core.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string_view>
#include <utility>

#include "core/result.hpp"

// The server's log: one line an event, on standard error or in a file. Nobody who writes a line
// waits for its reader or for room on a disk (LineWriter). Thread-safe.
namespace sonicorn::core::log {

enum class Level { debug, info, warning, error };

// Lines below `level` are dropped. Before the first call: info.
void set_level(Level level);

// "debug", "info", "warning", "error".
std::optional<Level> level_from(std::string_view name);

bool enabled(Level level);

enum class Format {
  text,  // "2026-11-26 09:30:00.123 [4711] info: message", local time
  json,  // an object with time (RFC 3339, UTC), level, pid, message, and app where one is meant
};

// How lines look from now on. Before the first call: text.
void set_format(Format format);

// "text", "json".
std::optional<Format> format_from(std::string_view name);

// Adds lines to this file from now on, instead of standard error. Error: host.log_file; then they
// go where they went.
Result<void> open_file(const std::filesystem::path& path);
// The same, but when it cannot be opened now, lines are kept, then dropped and counted, until it
// can be. The error says why.
Result<void> open_file_when_possible(const std::filesystem::path& path);

// Opens the file again by its path, for who has renamed it (logrotate); without one, does nothing.
// When that fails, lines go on into the old file, the first being the error. Not for a signal
// handler.
void reopen();

// Waits for a slow reader of what is kept for it, at most for `limit`; false: something is left.
// For the end of a process; until then, it is not needed.
bool flush(std::chrono::milliseconds limit);

// Lines that could not be written since the process began.
std::uint64_t dropped();

// The same of the access log, which counts them here: the metrics stand below it.
std::atomic<std::uint64_t>& dropped_access_lines();

// Writes one line; control characters in it are escaped, so a line stays one line. It is with the
// kernel when this returns, as long as whoever reads keeps up.
void write(Level level, std::string_view text);

template <class... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::debug)) write(Level::debug, fmt::format(format, std::forward<Args>(args)...));
}

template <class... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::info)) write(Level::info, fmt::format(format, std::forward<Args>(args)...));
}

template <class... Args>
void warning(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::warning)) {
    write(Level::warning, fmt::format(format, std::forward<Args>(args)...));
  }
}

template <class... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::error)) write(Level::error, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace sonicorn::core::log
