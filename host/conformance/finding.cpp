#include "conformance/finding.hpp"

#include <array>

namespace sonicorn::conformance {
namespace {

constexpr std::array<std::string_view, 3> kNames = {"note", "warning", "error"};

}  // namespace

std::string_view name_of(Level level) { return kNames[static_cast<std::size_t>(level)]; }

std::optional<Level> level_from(std::string_view name) {
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == name) return static_cast<Level>(i);
  }
  return std::nullopt;
}

}  // namespace sonicorn::conformance
