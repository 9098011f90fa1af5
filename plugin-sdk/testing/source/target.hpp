// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

namespace sonicorn::testing::detail {

// A request target taken apart.
struct Target {
  std::string path;  // decoded, without dot segments
  std::string query;
};

// Throws Misuse for what a server answers itself, with a 400.
Target parse_target(std::string_view text);

// Whether `path` lies under `mount` ("" or "/prefix"), on a border of segments.
bool holds(std::string_view mount, std::string_view path);

}  // namespace sonicorn::testing::detail
