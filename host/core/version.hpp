#pragma once

#include <string_view>

namespace sonicorn::core {

// The server's version, set by the build from the project's.
inline constexpr std::string_view kVersion = SONICORN_VERSION;

}  // namespace sonicorn::core
