#pragma once

#include <string>
#include <string_view>

#include "config/config.hpp"
#include "core/result.hpp"

namespace sonicorn::config {

// Reads "HOST:PORT", "[IPV6]:PORT" or "unix:PATH". Looks nothing up: whether the host exists shows
// when the server binds. Error: config.bad_bind.
core::Result<Bind> parse_bind(std::string_view text);

// As parse_bind reads it: "[::1]:8000", "unix:/run/app.sock".
std::string to_string(const Bind& bind);

}  // namespace sonicorn::config
