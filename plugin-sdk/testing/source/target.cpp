// SPDX-License-Identifier: Apache-2.0
#include "target.hpp"

#include <algorithm>
#include <sonicorn/cpp/request.hpp>
#include <sonicorn/testing/error.hpp>
#include <vector>

namespace sonicorn::testing::detail {
namespace {

[[noreturn]] void refuse(std::string_view target, const std::string& why) {
  throw Misuse("the target \"" + std::string(target) + "\" " + why +
               ": a server answers it itself, with 400");
}

std::string decode(std::string_view path, std::string_view target) {
  std::string decoded;
  for (std::size_t i = 0; i < path.size(); ++i) {
    if (path[i] != '%') {
      decoded += path[i];
      continue;
    }
    const int high = i + 2 < path.size() ? sonicorn::detail::hex_digit(path[i + 1]) : -1;
    const int low = i + 2 < path.size() ? sonicorn::detail::hex_digit(path[i + 2]) : -1;
    if (high < 0 || low < 0) refuse(target, "has a percent sign that begins no escape");
    if (high == 0 && low == 0) refuse(target, "has a zero byte");
    decoded += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return decoded;
}

}  // namespace

Target parse_target(std::string_view text) {
  const bool clean =
      std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c <= '~' && c != '#'; });
  if (!text.starts_with('/')) refuse(text, "does not begin with a slash");
  if (!clean) refuse(text, "holds a byte that must be escaped");
  const std::size_t mark = std::min(text.find('?'), text.size());
  const std::string decoded = decode(text.substr(0, mark), text);

  std::vector<std::string_view> segments;
  bool ends_in_slash = false;
  for (std::string_view rest = decoded; !rest.empty();) {
    rest.remove_prefix(1);
    const std::string_view segment = rest.substr(0, rest.find('/'));
    rest.remove_prefix(segment.size());
    ends_in_slash = segment.empty() || segment == "." || segment == "..";
    if (segment == "..") {
      if (segments.empty()) refuse(text, "climbs above the root");
      segments.pop_back();
    } else if (!ends_in_slash) {
      segments.push_back(segment);
    }
  }
  Target target;
  for (const std::string_view segment : segments) target.path.append("/").append(segment);
  if (ends_in_slash) target.path += '/';
  if (mark < text.size()) target.query = text.substr(mark + 1);
  return target;
}

bool holds(std::string_view mount, std::string_view path) {
  return path.starts_with(mount) &&
         (path.size() == mount.size() || mount.empty() || path[mount.size()] == '/');
}

}  // namespace sonicorn::testing::detail
