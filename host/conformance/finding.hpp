#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sonicorn::conformance {

enum class Level : std::uint8_t {
  note,     // worth knowing
  warning,  // a risk, or a promise that is weaker than it seems
  error,    // the app is not fit for the server
};

// "note", "warning", "error".
std::string_view name_of(Level level);
std::optional<Level> level_from(std::string_view name);

// Something that a check has found out. A value.
struct Finding {
  std::string id;  // stable, for machines: "check.leaked_thread"
  Level level = Level::error;
  std::string message;             // what happened, to what
  std::string remedy;              // what to do
  std::vector<std::string> where;  // lines: a backtrace, what the app printed
};

}  // namespace sonicorn::conformance
