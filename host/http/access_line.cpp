#include "http/access_line.hpp"

#include <fmt/format.h>

#include <cstdlib>
#include <iterator>

#include "core/text.hpp"
#include "core/time.hpp"

namespace sonicorn::http {
namespace {

constexpr std::size_t kLongest = 8 * 1024;
constexpr std::string_view kNone = "-";

std::string_view cut(std::string_view text) { return text.substr(0, kLongest); }

std::string_view or_none(std::string_view text) { return text.empty() ? kNone : text; }

// Of a head that was not understood, the first line as it came.
std::string_view first_line(std::string_view head) {
  if (head.starts_with("\r\n")) head.remove_prefix(2);
  std::string_view line = cut(head.substr(0, head.find('\n')));
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

void set_request_line(std::string& line, const Request& request) {
  line.clear();
  if (request.method.empty()) {
    line = first_line(request.head);
  } else {
    fmt::format_to(std::back_inserter(line), "{} {} HTTP/{}.{}", request.method,
                   cut(request.target), request.version / 10, request.version % 10);
  }
}

void append_json_field(std::string& to, std::string_view name, std::string_view text) {
  fmt::format_to(std::back_inserter(to), ",\"{}\":", name);
  text.empty() ? to.append("null") : (core::append_json(to, text), to);
}

}  // namespace

void AccessLineFormat::append(std::string& to, const AccessEntry& entry) {
  set_request_line(line_, entry.request);
  if (format_ == config::AccessLogFormat::json) return append_as_json(to, entry);
  append_common(to, entry);
  if (format_ == config::AccessLogFormat::combined) append_more(to, entry);
  to += '\n';
}

// %h %l %u %t "%r" %>s %b
void AccessLineFormat::append_common(std::string& to, const AccessEntry& entry) {
  fmt::format_to(std::back_inserter(to), "{} - - [{}] \"", or_none(entry.remote),
                 local_time(entry.time.tv_sec));
  core::append_quoted(to, or_none(line_));
  fmt::format_to(std::back_inserter(to), "\" {} ", entry.status);
  if (entry.body_size == 0) {
    to += kNone;
  } else {
    fmt::format_to(std::back_inserter(to), "{}", entry.body_size);
  }
}

void AccessLineFormat::append_more(std::string& to, const AccessEntry& entry) {
  for (const std::string_view name : {"referer", "user-agent"}) {
    to += " \"";
    core::append_quoted(to, cut(or_none(entry.request.field(name))));
    to += '"';
  }
  fmt::format_to(std::back_inserter(to), " {} ", or_none(entry.request_id));
  core::append_quoted(to, or_none(entry.app));
  if (entry.generation == 0) {
    to += " -";
  } else {
    fmt::format_to(std::back_inserter(to), " {}", entry.generation);
  }
  fmt::format_to(std::back_inserter(to), " {:.6f}", core::seconds(entry.duration));
}

void AccessLineFormat::append_as_json(std::string& to, const AccessEntry& entry) {
  fmt::format_to(std::back_inserter(to), R"({{"time":"{}.{:03}Z")", utc_second(entry.time.tv_sec),
                 entry.time.tv_nsec / 1'000'000);
  append_json_field(to, "remote", entry.remote);
  append_json_field(to, "request", line_);
  append_json_field(to, "method", entry.request.method);
  append_json_field(to, "target", cut(entry.request.target));
  fmt::format_to(std::back_inserter(to), R"(,"status":{},"bytes":{})", entry.status,
                 entry.body_size);
  append_json_field(to, "referer", cut(entry.request.field("referer")));
  append_json_field(to, "user_agent", cut(entry.request.field("user-agent")));
  append_json_field(to, "request_id", entry.request_id);
  append_json_field(to, "app", entry.app);
  if (entry.generation == 0) {
    to += R"(,"generation":null)";
  } else {
    fmt::format_to(std::back_inserter(to), R"(,"generation":{})", entry.generation);
  }
  fmt::format_to(std::back_inserter(to), ",\"duration\":{:.6f}}}\n", core::seconds(entry.duration));
}

// "26/Nov/2026:09:30:00 +0100"
std::string_view AccessLineFormat::local_time(std::time_t second) {
  if (second == second_) return text_;
  constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  second_ = second;
  std::tm local{};
  ::localtime_r(&second, &local);
  const long offset = local.tm_gmtoff / 60;
  text_ = fmt::format("{:02}/{}/{}:{:02}:{:02}:{:02} {}{:02}{:02}", local.tm_mday,
                      kMonths[static_cast<std::size_t>(local.tm_mon)], local.tm_year + 1900,
                      local.tm_hour, local.tm_min, local.tm_sec, offset < 0 ? '-' : '+',
                      std::abs(offset) / 60, std::abs(offset) % 60);
  return text_;
}

// "2026-11-26T08:30:00"
std::string_view AccessLineFormat::utc_second(std::time_t second) {
  if (second == second_) return text_;
  second_ = second;
  std::tm utc{};
  ::gmtime_r(&second, &utc);
  text_ = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", utc.tm_year + 1900, utc.tm_mon + 1,
                      utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec);
  return text_;
}

}  // namespace sonicorn::http
