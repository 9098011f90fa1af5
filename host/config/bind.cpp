#include "config/bind.hpp"

#include <fmt/format.h>
#include <sys/un.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "config/wording.hpp"

namespace sonicorn::config {
namespace {

constexpr std::string_view kUnixPrefix = "unix:";
// The kernel's structure also holds the zero byte at the end.
constexpr std::size_t kLongestPath = sizeof(sockaddr_un::sun_path) - 1;
constexpr std::size_t kLongestHost = 255;

core::Error bad_address(std::string_view text, std::string_view what) {
  return core::host_error(
      "config.bad_bind",
      fmt::format("{}: {}; allowed are HOST:PORT, [IPV6]:PORT and unix:PATH, as in 127.0.0.1:8000",
                  in_quotes(text), what));
}

std::optional<std::uint16_t> port_from(std::string_view digits) {
  std::uint16_t port = 0;
  const char* const end = digits.data() + digits.size();
  const auto [stop, failure] = std::from_chars(digits.data(), end, port);
  if (failure != std::errc{} || stop != end) return std::nullopt;
  return port;
}

bool is_host_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '-' || c == '_';
}

bool is_ipv6_character(char c) {
  // A zone ("%eth0") may follow the address.
  return is_host_character(c) || c == ':' || c == '%';
}

core::Result<Bind> parse_unix(std::string_view text) {
  const std::string_view path = text.substr(kUnixPrefix.size());
  if (path.empty()) return bad_address(text, "the path after unix: is missing");
  if (path.size() > kLongestPath) {
    return bad_address(text, fmt::format("the path is {} bytes and a socket's may be {}",
                                         path.size(), kLongestPath));
  }
  if (path.find('\0') != std::string_view::npos)
    return bad_address(text, "the path holds a zero byte");
  return Bind{Bind::Kind::unix_socket, {}, 0, std::string(path)};
}

core::Result<Bind> parse_tcp(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || text.ends_with(']'))
    return bad_address(text, "no port is given");
  const auto port = port_from(text.substr(colon + 1));
  if (!port) return bad_address(text, "the port is not a number from 0 to 65535");
  std::string_view host = text.substr(0, colon);
  if (host.empty()) {
    return bad_address(text, "no host is given (0.0.0.0 and [::] stand for every address)");
  }
  if (host.size() > kLongestHost) return bad_address(text, "the host is too long");
  if (host.front() == '[') {
    if (host.size() < 3 || host.back() != ']') return bad_address(text, "a bracket is missing");
    host = host.substr(1, host.size() - 2);
    if (host.find(':') == std::string_view::npos ||
        !std::all_of(host.begin(), host.end(), is_ipv6_character)) {
      return bad_address(text, "there is no IPv6 address in the brackets");
    }
  } else if (host.find(':') != std::string_view::npos) {
    return bad_address(text, "an IPv6 address needs brackets");
  } else if (!std::all_of(host.begin(), host.end(), is_host_character)) {
    return bad_address(text, "the host is neither an address nor a name");
  }
  return Bind{Bind::Kind::tcp, std::string(host), *port, {}};
}

}  // namespace

core::Result<Bind> parse_bind(std::string_view text) {
  if (text.empty()) return bad_address(text, "the address is empty");
  return text.starts_with(kUnixPrefix) ? parse_unix(text) : parse_tcp(text);
}

std::string to_string(const Bind& bind) {
  if (bind.kind == Bind::Kind::unix_socket) return "unix:" + bind.path;
  const bool ipv6 = bind.host.find(':') != std::string::npos;
  return ipv6 ? fmt::format("[{}]:{}", bind.host, bind.port)
              : fmt::format("{}:{}", bind.host, bind.port);
}

}  // namespace sonicorn::config
