#pragma once

#include <fmt/core.h>

#include <optional>
#include <string_view>
#include <utility>

// The server's log: one line an event, on standard error. Thread-safe.
namespace sonicorn::core::log {

enum class Level { debug, info, warning, error };

// Lines below `level` are dropped. Before the first call: info.
void set_level(Level level);

// "debug", "info", "warning", "error".
std::optional<Level> level_from(std::string_view name);

bool enabled(Level level);

// Writes one line; control characters in it are escaped, so a line stays one line.
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
