#include "http/target.hpp"

#include <algorithm>
#include <array>
#include <cstdint>

#include "core/text.hpp"
#include "http/characters.hpp"

namespace sonicorn::http {
namespace {

// The bytes a target may hold: printable ASCII but for the fragment mark.
constexpr auto kTargetBytes = [] {
  std::array<bool, 256> table{};
  for (unsigned c = 0x21; c <= 0x7e; ++c) table[c] = true;
  table['#'] = false;
  return table;
}();

constexpr auto kHostBytes = [] {
  std::array<bool, 256> table{};
  for (unsigned c = 'a'; c <= 'z'; ++c) table[c] = table[c - 32] = true;
  for (unsigned c = '0'; c <= '9'; ++c) table[c] = true;
  for (const char c : std::string_view("-._~%!$&'()*+,;="))
    table[static_cast<unsigned char>(c)] = true;
  return table;
}();

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool valid_port(std::string_view port) {
  if (port.size() > 5 || !std::all_of(port.begin(), port.end(), is_digit)) return false;
  std::uint32_t value = 0;
  for (const char c : port) value = value * 10 + static_cast<std::uint32_t>(c - '0');
  return value <= 65535;
}

// "http://a/b?c" -> "/b?c", with the authority noted. False when it is not of that form.
bool take_authority(std::string_view& text, std::string_view& authority) {
  const auto colon = text.find("://");
  if (colon == std::string_view::npos) return false;
  const std::string_view scheme = text.substr(0, colon);
  if (!is_named(scheme, "http") && !is_named(scheme, "https")) return false;
  const std::string_view rest = text.substr(colon + 3);
  const auto end = std::min(rest.find_first_of("/?"), rest.size());
  authority = rest.substr(0, end);
  text = rest.substr(end);
  return !authority.empty() && valid_host(authority);
}

}  // namespace

bool parse_target(std::string_view text, Target& target) {
  if (text.empty()) return false;
  if (text == "*") {
    target.asterisk = true;
    return true;
  }
  if (text.front() != '/' && !take_authority(text, target.authority)) return false;

  std::size_t at = 0;
  char previous = 0;
  for (; at < text.size() && text[at] != '?'; ++at) {
    const char c = text[at];
    if (!kTargetBytes[static_cast<unsigned char>(c)]) return false;
    if (c == '%' || (previous == '/' && (c == '.' || c == '/'))) target.plain = false;
    previous = c;
  }
  target.path = text.substr(0, at);
  if (target.path.empty()) target.path = "/";
  if (at == text.size()) return true;
  target.query = text.substr(at + 1);
  return std::all_of(target.query.begin(), target.query.end(),
                     [](char c) { return kTargetBytes[static_cast<unsigned char>(c)]; });
}

bool canonical_path(std::string_view path, std::string& out) {
  const auto decoded = core::percent_decoded(path);
  if (!decoded || decoded->find('\0') != std::string::npos) return false;

  out.clear();
  std::size_t at = 0;
  while (at < decoded->size()) {
    const std::size_t begin = at + 1;  // at `at` is a slash
    const std::size_t end = std::min(decoded->find('/', begin), decoded->size());
    const std::string_view segment(decoded->data() + begin, end - begin);
    const bool last = end == decoded->size();
    if (segment == "..") {
      const auto slash = out.rfind('/');
      if (slash == std::string::npos) return false;
      out.resize(slash);
      if (last) out += '/';
    } else if (segment == "." || segment.empty()) {
      if (last) out += '/';
    } else {
      out += '/';
      out += segment;
    }
    at = end;
  }
  if (out.empty()) out = "/";
  return true;
}

bool valid_host(std::string_view host) {
  std::size_t end = 0;
  if (host.empty() || host.front() != '[') {
    while (end < host.size() && kHostBytes[static_cast<unsigned char>(host[end])]) ++end;
    if (end == host.size()) return true;
    if (end == 0) return false;
  } else {
    const auto bracket = host.find(']');
    if (bracket == std::string_view::npos || bracket < 3) return false;
    const std::string_view address = host.substr(1, bracket - 1);
    const bool valid = std::all_of(address.begin(), address.end(), [](char c) {
      return core::hex_value(c) >= 0 || c == ':' || c == '.';
    });
    if (!valid || address.find(':') == std::string_view::npos) return false;
    end = bracket + 1;
    if (end == host.size()) return true;
  }
  return host[end] == ':' && valid_port(host.substr(end + 1));
}

}  // namespace sonicorn::http
