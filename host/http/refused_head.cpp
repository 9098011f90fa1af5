#include "http/refused_head.hpp"

#include "http/characters.hpp"

namespace sonicorn::http {
namespace {

constexpr std::string_view kAccept = "accept";

void take_accept(std::string_view line, Request& request) {
  const auto colon = line.find(':');
  if (colon == std::string_view::npos || !is_named(line.substr(0, colon), kAccept)) return;
  const std::string_view value = line.substr(colon + 1);
  request.fields.push_back({{line.data(), colon}, {value.data(), value.size()}});
}

}  // namespace

void read_refused_head(std::string_view lines, Request& request) {
  request.reset();
  request.head = lines;
  if (lines.starts_with("\r\n")) lines.remove_prefix(2);
  request.head_only = lines.starts_with("HEAD ");
  for (;;) {
    const auto newline = lines.find('\n');
    if (newline == std::string_view::npos) return;
    std::string_view line = lines.substr(0, newline);
    lines.remove_prefix(newline + 1);
    if (line.ends_with('\r')) line.remove_suffix(1);
    take_accept(line, request);
  }
}

}  // namespace sonicorn::http
