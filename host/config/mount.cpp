#include "config/mount.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <system_error>

#include "config/wording.hpp"

namespace sonicorn::config {
namespace {

constexpr std::size_t kLongestMount = 1024;

core::Error bad_mount(std::string_view text, std::string_view what) {
  return core::host_error(
      "config.bad_mount",
      fmt::format("mount {}: {}; allowed are \"/\" and prefixes like \"/api/v1\"", in_quotes(text),
                  what));
}

// RFC 3986 3.3, pchar without percent-encoding: what a request path holds once it is decoded and
// cannot be written in two ways.
bool is_allowed(char c) {
  constexpr std::string_view kMarks = "/-._~!$&'()*+,;=:@";
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         kMarks.find(c) != std::string_view::npos;
}

bool has_dot_segment(std::string_view mount) {
  while (!mount.empty()) {
    const std::string_view rest = mount.substr(1);
    const std::string_view segment = rest.substr(0, rest.find('/'));
    if (segment == "." || segment == "..") return true;
    mount = rest.substr(segment.size());
  }
  return false;
}

}  // namespace

bool is_file(const std::filesystem::path& path) {
  std::error_code failure;
  return std::filesystem::is_regular_file(path, failure);
}

core::Result<std::string> normal_mount(std::string_view text) {
  if (!text.starts_with('/')) return bad_mount(text, "it does not begin with \"/\"");
  if (text.size() > kLongestMount) return bad_mount(text, "it is longer than 1024 bytes");
  if (text.find("//") != std::string_view::npos) return bad_mount(text, "it has an empty segment");
  const auto wrong = std::find_if_not(text.begin(), text.end(), is_allowed);
  if (wrong != text.end()) {
    return bad_mount(text, fmt::format("it holds {}", in_quotes(std::string_view(&*wrong, 1))));
  }
  if (has_dot_segment(text)) return bad_mount(text, "it has a segment \".\" or \"..\"");
  if (text.size() > 1 && text.ends_with('/')) text.remove_suffix(1);
  return core::Result<std::string>(boost::system::in_place_value, text);
}

core::Result<std::string> health_mount(std::string_view text) {
  auto mount = normal_mount(text);
  if (!mount || *mount != "/") return mount;
  return core::host_error("config.bad_mount",
                          "\"/\" would be all there is; allowed is a prefix like \"/-/health\"");
}

core::Result<AppArgument> parse_app_argument(std::string_view text, const IsFile& exists) {
  const std::size_t equals = text.find('=');
  const bool mounted = text.starts_with('/') && equals != std::string_view::npos &&
                       !exists(std::filesystem::path(text));
  AppArgument app{"/", std::filesystem::path(text)};
  if (mounted) {
    auto mount = normal_mount(text.substr(0, equals));
    if (!mount) return mount.error();
    app = {*std::move(mount), std::filesystem::path(text.substr(equals + 1))};
  }
  if (app.file.empty()) {
    return core::host_error(
        "config.bad_app",
        fmt::format("{}: no file is named; write FILE or MOUNT=FILE, as in /api=./api.so",
                    in_quotes(text)));
  }
  return app;
}

}  // namespace sonicorn::config
