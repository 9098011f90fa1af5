#include "http/response_writer.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <new>
#include <string>

#include "http/accept.hpp"
#include "http/characters.hpp"

namespace sonicorn::http {
namespace {

// Below this a copy costs less than one more piece in the system call.
constexpr std::size_t kBorrowFrom = 16 * 1024;

constexpr std::string_view kOk = "HTTP/1.1 200 OK\r\n";
constexpr std::string_view kKeepAlive = "Connection: keep-alive\r\n";
constexpr std::string_view kClose = "Connection: close\r\n";
constexpr std::string_view kContentType = "Content-Type: ";
constexpr std::string_view kContentLength = "Content-Length: ";
constexpr std::string_view kRetryAfter = "Retry-After";
constexpr std::string_view kRetrySeconds = "1";
constexpr std::string_view kEnd = "\r\n";

char* put(char* at, std::string_view text) {
  std::memcpy(at, text.data(), text.size());
  return at + text.size();
}

bool is_token(std::string_view text) {
  for (const char c : text) {
    if (!is_token_char(c)) return false;
  }
  return !text.empty();
}

// Both texts are the server's own literals: nothing a client sent is in them.
std::string body_of(const Refusal& refusal, bool json) {
  return json ? fmt::format(R"({{"error":{{"status":{},"id":"{}","message":"{}"}}}})"
                            "\n",
                            refusal.status, refusal.id, refusal.message)
              : fmt::format("{} {}: {}\n", refusal.status, reason_phrase(refusal.status),
                            refusal.message);
}

std::string_view type_of_refusal(bool json) {
  return json ? "application/json" : "text/plain; charset=utf-8";
}

bool has_no_body(unsigned status) { return status == 204 || status == 304; }

}  // namespace

void ResponseWriter::format_date(std::time_t now) {
  second_ = now;
  constexpr std::array<std::string_view, 7> kDays = {"Sun", "Mon", "Tue", "Wed",
                                                     "Thu", "Fri", "Sat"};
  constexpr std::array<std::string_view, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  fmt::format_to_n(date_.data(), date_.size(), "Date: {}, {:02} {} {} {:02}:{:02}:{:02} GMT\r\n",
                   kDays[static_cast<std::size_t>(utc.tm_wday)], utc.tm_mday,
                   kMonths[static_cast<std::size_t>(utc.tm_mon)], utc.tm_year + 1900, utc.tm_hour,
                   utc.tm_min, utc.tm_sec);
}

std::string_view ResponseWriter::name_fault(const sonicorn_response& response) {
  if (response.status < 200 || response.status > 599) return "the status is not in 200 .. 599";
  if (response.body.size != 0 && response.body.data == nullptr) return "the body's data is NULL";
  if (has_control(view_of(response.content_type))) return "content_type holds a control character";
  if (response.field_count != 0 && response.fields == nullptr) return "fields is NULL";
  for (std::uint64_t i = 0; i < response.field_count; ++i) {
    const std::string_view name = view_of(response.fields[i].name);
    if (!is_token(name)) return "the name of a header field is not a token";
    if (has_control(view_of(response.fields[i].value))) {
      return "the value of a header field holds a line break or another control character";
    }
    if (is_named(name, "content-length") || is_named(name, "transfer-encoding") ||
        is_named(name, "connection") || is_named(name, "keep-alive") || is_named(name, "upgrade") ||
        is_named(name, "trailer")) {
      return "it sets a field that frames the message, which is the server's to write";
    }
  }
  return {};
}

inline char* ResponseWriter::write_status(char* at, unsigned status) const {
  if (status == 200) return put(at, kOk);
  at = put(at, "HTTP/1.1 ");
  at = std::to_chars(at, at + 3, status).ptr;
  *at++ = ' ';
  at = put(at, reason_phrase(status));
  return put(at, kEnd);
}

inline char* ResponseWriter::write_date(char* at) const {
  return put(at, {date_.data(), date_.size()});
}

void ResponseWriter::write(Output& output, const Request& request, AppResponse& response,
                           bool close) {
  const std::string_view type = view_of(response.content_type);
  const std::string_view body = view_of(response.body);
  std::size_t room = 320 + type.size();
  bool dated = true;
  for (std::uint64_t i = 0; i < response.field_count; ++i) {
    room += response.fields[i].name.size + response.fields[i].value.size + 4;
    if (is_named(view_of(response.fields[i].name), "date")) dated = false;
  }
  const bool with_body = !request.head_only && !has_no_body(response.status) && !body.empty();
  const bool copied = with_body && body.size() < kBorrowFrom;
  if (copied) room += body.size();

  char* const begin = output.reserve(room);
  char* at = write_status(begin, response.status);
  if (dated) at = write_date(at);
  if (!type.empty()) {
    at = put(at, kContentType);
    at = put(at, type);
    at = put(at, kEnd);
  }
  for (std::uint64_t i = 0; i < response.field_count; ++i) {
    at = put(at, view_of(response.fields[i].name));
    at = put(at, ": ");
    at = put(at, view_of(response.fields[i].value));
    at = put(at, kEnd);
  }
  if (!has_no_body(response.status)) {
    at = put(at, kContentLength);
    at = std::to_chars(at, at + 20, body.size()).ptr;
    at = put(at, kEnd);
  }
  if (close) {
    at = put(at, kClose);
  } else if (request.version == 10) {
    at = put(at, kKeepAlive);
  }
  at = put(at, kEnd);
  if (copied) at = put(at, body);
  output.commit(static_cast<std::size_t>(at - begin));

  if (with_body && !copied) {
    output.borrow(body, response.take_release());
  } else {
    response.drop();
  }
}

std::size_t ResponseWriter::write_refusal(Output& output, const Refusal& refusal, bool json,
                                          bool head_only, bool close, bool http_1_0) {
  const std::string body = body_of(refusal, json);
  char* const begin = output.reserve(512 + body.size());
  char* at = write_date(write_status(begin, refusal.status));
  at = put(at, kContentType);
  at = put(at, type_of_refusal(json));
  at = put(at, kEnd);
  at = put(at, kContentLength);
  at = std::to_chars(at, at + 20, body.size()).ptr;
  at = put(at, kEnd);
  if (refusal.status == 503) {
    at = put(at, kRetryAfter);
    at = put(at, ": ");
    at = put(at, kRetrySeconds);
    at = put(at, kEnd);
  }
  if (close) {
    at = put(at, kClose);
  } else if (http_1_0) {
    at = put(at, kKeepAlive);
  }
  at = put(at, kEnd);
  if (!head_only) at = put(at, body);
  output.commit(static_cast<std::size_t>(at - begin));
  return head_only ? 0 : body.size();
}

void ResponseWriter::fill_in(AppResponse& response, const Refusal& refusal, bool json) {
  const std::string body = body_of(refusal, json);
  auto* const text = static_cast<char*>(response.allocate(&response, body.size()));
  if (text == nullptr) throw std::bad_alloc();
  body.copy(text, body.size());
  const std::string_view type = type_of_refusal(json);
  response.status = refusal.status;
  response.content_type = {type.data(), type.size()};
  response.body = {text, body.size()};
  if (refusal.status != 503) return;
  static const sonicorn_field kFields[] = {
      {{kRetryAfter.data(), kRetryAfter.size()}, {kRetrySeconds.data(), kRetrySeconds.size()}}};
  response.fields = kFields;
  response.field_count = 1;
}

bool ResponseWriter::wants_json(const Request& request) {
  const Acceptance plain = acceptance_of(request, "application/json");
  const Acceptance problem = acceptance_of(request, "application/problem+json");
  const Acceptance json = problem.quality > plain.quality ? problem : plain;
  if (json.quality == 0 || json.named == Acceptance::Named::by_any) return false;
  return json.quality >= acceptance_of(request, "text/plain").quality;
}

}  // namespace sonicorn::http
