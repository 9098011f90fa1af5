#include "config/range.hpp"

#include <fmt/format.h>
#include <sonicorn/capabilities.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "config/wording.hpp"

namespace sonicorn::config {
namespace {

template <class Number>
bool parse_number(std::string_view text, Number& number) {
  const char* const end = text.data() + text.size();
  const auto [stop, failure] = std::from_chars(text.data(), end, number);
  return failure == std::errc{} && stop == end;
}

double seconds_from(std::chrono::milliseconds time) {
  return std::chrono::duration<double>(time).count();
}

core::Error bad_flag(std::string_view flag, std::string_view text,
                     std::string_view allowed_values) {
  return core::host_error("config.bad_flag", fmt::format("{} {}: allowed is {}", flag,
                                                         in_quotes(text), allowed_values));
}

}  // namespace

std::optional<Overrun> overrun_from(std::string_view name) {
  if (name == "abandon") return Overrun::abandon;
  if (name == "wait") return Overrun::wait;
  if (name == "kill") return Overrun::kill;
  return std::nullopt;
}

std::optional<AccessLogFormat> access_log_format_from(std::string_view name) {
  if (name == "common") return AccessLogFormat::common;
  if (name == "combined") return AccessLogFormat::combined;
  if (name == "json") return AccessLogFormat::json;
  return std::nullopt;
}

std::string fault_of_capability(std::string_view name) {
#define X(short_name, id) std::string_view(#short_name),
  static constexpr std::array kNames = {SONICORN_CAPABILITIES(X)};
#undef X
#define X(short_name, id) std::string_view(id),
  static constexpr std::array kIds = {SONICORN_CAPABILITIES(X)};
#undef X
  const bool is_known = std::find(kNames.begin(), kNames.end(), name) != kNames.end() ||
                        std::find(kIds.begin(), kIds.end(), name) != kIds.end();
  if (is_known) return {};
  return fmt::format("{} is no capability of this server; {}", in_quotes(name),
                     suggestion(name.substr(0, name.find('/')), kNames));
}

std::string allowed(const CountRange& range) {
  const std::string unit = range.unit.empty() ? "" : fmt::format(" of {}", range.unit);
  return fmt::format("a whole number{} from {} to {}", unit, range.least, range.most);
}

std::string allowed(const TimeRange& range) {
  return fmt::format("a number of seconds from {:g} to {:g}", seconds_from(range.least),
                     seconds_from(range.most));
}

bool contains(const CountRange& range, std::int64_t number) {
  if (number < 0) return false;
  const auto count = static_cast<std::uint64_t>(number);
  return count >= range.least && count <= range.most;
}

bool contains(const TimeRange& range, double seconds) {
  return seconds >= seconds_from(range.least) && seconds <= seconds_from(range.most);
}

std::chrono::milliseconds milliseconds_from(double seconds) {
  return std::chrono::milliseconds(std::llround(seconds * 1000));
}

core::Result<std::uint64_t> parse_count(std::string_view flag, std::string_view text,
                                        const CountRange& range) {
  std::int64_t number = 0;
  if (!parse_number(text, number) || !contains(range, number)) {
    return bad_flag(flag, text, allowed(range));
  }
  return static_cast<std::uint64_t>(number);
}

core::Result<std::chrono::milliseconds> parse_time(std::string_view flag, std::string_view text,
                                                   const TimeRange& range) {
  double seconds = 0;
  if (!parse_number(text, seconds) || !contains(range, seconds)) {
    return bad_flag(flag, text, allowed(range));
  }
  return milliseconds_from(seconds);
}

}  // namespace sonicorn::config
