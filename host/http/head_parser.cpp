#include "http/head_parser.hpp"

#include <algorithm>
#include <boost/beast/http/basic_parser.hpp>
#include <cstring>
#include <limits>

#include "http/characters.hpp"
#include "http/target.hpp"

// Here alone, so that what parses requests is compiled as this file is; others declare it extern.
template class boost::beast::http::basic_parser<true>;

namespace sonicorn::http {
namespace {

namespace beast = boost::beast;
using beast::http::field;

std::string_view std_view(beast::string_view text) { return {text.data(), text.size()}; }

bool is_blank(char c) { return c == ' ' || c == '\t'; }

void trim(std::string_view& text) {
  while (!text.empty() && is_blank(text.front())) text.remove_prefix(1);
  while (!text.empty() && is_blank(text.back())) text.remove_suffix(1);
}

// Beast's parser, for what frames a message: the request line and the fields that tell where the
// message ends. It is fed whole lines, and never a body or a chunk, so no client can reach the
// states in which it asserts what the bytes should be. All other fields are split below, in a
// fraction of the instructions.
class HeadParser final : public beast::http::basic_parser<true> {
 public:
  HeadParser(Request& request, bool is_1_1) : request_(request), is_1_1_(is_1_1) {
    header_limit(std::numeric_limits<std::uint32_t>::max());
    body_limit(boost::none);
  }

  // Feeds one whole line; null, or what to refuse it with. The parser looks one byte beyond a
  // field's line, so `ahead` is 1 for those and 0 for the others.
  const Refusal* feed(const char* line, std::size_t size, std::size_t ahead) {
    beast::error_code ec;
    const std::size_t used = put({line, size + ahead}, ec);
    if (ec && ec != beast::http::error::need_more) return refusal_of(ec);
    return used == size ? nullptr : &refusals::kBadRequest;
  }

  // RFC 9112 6.1 and 6.3, once all fields are known.
  const Refusal* judge_framing() {
    if (codings_ == 0) return nullptr;
    const bool chunked_is_final = chunked_ == 0 || (chunked_ == 1 && last_is_chunked_);
    if (!is_1_1_ || request_.content_length || bad_coding_ || !chunked_is_final) {
      return &refusals::kBadTransferEncoding;
    }
    if (codings_ > chunked_) return &refusals::kUnknownCoding;
    request_.chunked = true;
    return nullptr;
  }

 private:
  using error_code = beast::error_code;
  using string_view = beast::string_view;

  static const Refusal* refusal_of(const error_code& ec) {
    using beast::http::error;
    if (ec == error::bad_content_length || ec == error::multiple_content_length) {
      return &refusals::kBadContentLength;
    }
    if (ec == error::bad_transfer_encoding) return &refusals::kBadTransferEncoding;
    if (ec == error::bad_method || ec == error::bad_version) return &refusals::kBadRequestLine;
    if (ec == error::bad_target) return &refusals::kBadTarget;
    if (ec == error::bad_field || ec == error::bad_value) return &refusals::kBadField;
    return &refusals::kBadRequest;
  }

  void take_transfer_encoding(std::string_view value) {
    for (bool more = true; more;) {
      const auto comma = value.find(',');
      more = comma != std::string_view::npos;
      std::string_view coding = value.substr(0, comma);
      value.remove_prefix(more ? comma + 1 : value.size());
      trim(coding);
      ++codings_;
      if (coding.empty()) bad_coding_ = true;
      last_is_chunked_ = is_named(coding, "chunked");
      if (last_is_chunked_) ++chunked_;
    }
  }

  bool take_content_length(std::string_view value) {
    if (request_.content_length || value.empty() || value.size() > 20) return false;
    std::uint64_t length = 0;
    for (const char c : value) {
      const auto digit = static_cast<std::uint64_t>(c - '0');
      if (c < '0' || c > '9' || length > (std::numeric_limits<std::uint64_t>::max() - digit) / 10) {
        return false;
      }
      length = length * 10 + digit;
    }
    request_.content_length = length;
    return true;
  }

  void on_request_impl(beast::http::verb, string_view method, string_view target, int version,
                       error_code&) override {
    request_.method = std_view(method);
    request_.target = std_view(target);
    request_.version = static_cast<unsigned>(version);
    request_.head_only = request_.method == "HEAD";
  }

  void on_field_impl(field name, string_view, string_view value, error_code& ec) override {
    if (name == field::transfer_encoding) {
      take_transfer_encoding(std_view(value));
    } else if (name == field::content_length && !take_content_length(std_view(value))) {
      ec = beast::http::error::bad_content_length;
    }
  }

  void on_header_impl(error_code&) override {}
  void on_response_impl(int, string_view, int, error_code&) override {}
  void on_body_init_impl(boost::optional<std::uint64_t> const&, error_code&) override {}
  std::size_t on_body_impl(string_view, error_code&) override { return 0; }
  void on_chunk_header_impl(std::uint64_t, string_view, error_code&) override {}
  std::size_t on_chunk_body_impl(std::uint64_t, string_view, error_code&) override { return 0; }
  void on_finish_impl(error_code&) override {}

  Request& request_;
  const bool is_1_1_;
  std::uint32_t codings_ = 0;
  std::uint32_t chunked_ = 0;
  bool last_is_chunked_ = false;
  bool bad_coding_ = false;
};

// What a field means for the message as a whole.
enum class Meaning : std::uint8_t { none, framing, host, expect };

Meaning meaning_of(std::string_view name) {
  switch (name.size()) {
    case 4:
      return is_named(name, "host") ? Meaning::host : Meaning::none;
    case 6:
      return is_named(name, "expect") ? Meaning::expect : Meaning::none;
    case 7:
      return is_named(name, "upgrade") ? Meaning::framing : Meaning::none;
    case 10:
      return is_named(name, "connection") ? Meaning::framing : Meaning::none;
    case 14:
      return is_named(name, "content-length") ? Meaning::framing : Meaning::none;
    case 17:
      return is_named(name, "transfer-encoding") ? Meaning::framing : Meaning::none;
    default:
      return Meaning::none;
  }
}

// The version ends the request line: "HTTP/" DIGIT "." DIGIT (RFC 9112 2.3).
const Refusal* judge_version(const char* line, const char* end) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  if (end - line < 9) return &refusals::kBadRequestLine;
  const char* const version = end - 9;
  if (std::memcmp(version, " HTTP/", 6) != 0 || !is_digit(version[6]) || version[7] != '.' ||
      !is_digit(version[8])) {
    return &refusals::kBadRequestLine;
  }
  return version[6] == '1' && version[8] <= '1' ? nullptr : &refusals::kBadVersion;
}

const Refusal* judge_target(Request& request) {
  if (request.method == "CONNECT") return &refusals::kNoConnect;
  Target target;
  if (!parse_target(request.target, target)) return &refusals::kBadTarget;
  request.query = target.query;
  if (target.asterisk) {
    if (request.method != "OPTIONS") return &refusals::kBadTarget;
    request.server_wide = true;
    return nullptr;
  }
  request.path = target.path;
  if (target.plain) return nullptr;
  if (!canonical_path(target.path, request.path_storage)) return &refusals::kBadTarget;
  request.path = request.path_storage;
  return nullptr;
}

// One pass over the lines of one head.
class HeadLines {
 public:
  HeadLines(std::string_view input, const config::Limits& limits, Request& request)
      : begin_(input.data()),
        at_(begin_),
        end_(begin_ + input.size()),
        limits_(limits),
        request_(request),
        fields_left_(limits.fields) {}

  HeadParse parse() {
    const char* const line_end = find_control(begin_, at_, end_);
    if (end_ - line_end < 2) return {Outcome::incomplete};
    if (line_end[0] != '\r' || line_end[1] != '\n' || over(line_end, limits_.request_line)) {
      return refuse(&refusals::kBadRequestLine);
    }
    if (const Refusal* why = judge_version(begin_, line_end)) return refuse(why);
    is_1_1_ = line_end[-1] == '1';
    HeadParser parser(request_, is_1_1_);
    at_ = line_end + 2;
    const auto size = static_cast<std::size_t>(at_ - begin_);
    if (const Refusal* why = parser.feed(begin_, size, 0)) return refuse(why);

    for (;;) {
      if (end_ - at_ < 2) return {Outcome::incomplete};
      if (*at_ == '\r') break;
      if (const Refusal* why = take_field(parser)) {
        return why == &kIncomplete ? HeadParse{Outcome::incomplete} : refuse(why);
      }
    }
    return finish(parser);
  }

 private:
  using Outcome = HeadParse::Outcome;

  // Stands for "its end is not there yet" where a refusal is returned.
  static constexpr Refusal kIncomplete{};

  static HeadParse refuse(const Refusal* why) { return {Outcome::refused, 0, why}; }
  bool over(const char* line_end, std::size_t limit) const {
    return static_cast<std::size_t>(line_end - at_) > limit;
  }

  // field-line = field-name ":" OWS field-value OWS (RFC 9112 5).
  const Refusal* take_field(HeadParser& parser) {
    const char* const line = at_;
    const char* const colon = find_token_end(line, end_);
    if (colon == end_) return &kIncomplete;
    if (colon == line || *colon != ':') return &refusals::kBadField;
    const char* const line_end = find_control(begin_, colon + 1, end_);
    // The byte behind the line must be there too: the next line's first, or the CR of the last.
    if (end_ - line_end < 3) return &kIncomplete;
    if (line_end[0] != '\r') return &refusals::kBadField;
    if (line_end[1] != '\n') return &refusals::kBadLineEnding;
    if (over(line_end, limits_.field) || fields_left_ == 0) {
      return &refusals::kHeadTooLarge;
    }

    // The colon before the value and the CR behind it end these loops.
    const char* value = colon + 1;
    const char* value_end = line_end;
    while (is_blank(*value)) ++value;
    if (value != line_end) {
      while (is_blank(value_end[-1])) --value_end;
    }
    const sonicorn_field field{{line, static_cast<std::uint64_t>(colon - line)},
                               {value, static_cast<std::uint64_t>(value_end - value)}};
    request_.fields.push_back(field);
    --fields_left_;
    at_ = line_end + 2;
    const Meaning meaning = meaning_of({line, static_cast<std::size_t>(colon - line)});
    return meaning == Meaning::none ? nullptr : weigh(meaning, field, line, parser);
  }

  const Refusal* weigh(Meaning meaning, const sonicorn_field& field, const char* line,
                       HeadParser& parser) {
    const std::string_view value(field.value.data, field.value.size);
    switch (meaning) {
      case Meaning::none:
        break;
      case Meaning::framing:
        framed_ = true;
        return parser.feed(line, static_cast<std::size_t>(at_ - line), 1);
      case Meaning::host:
        return ++hosts_ == 1 && valid_host(value) ? nullptr : &refusals::kBadHost;
      case Meaning::expect:
        if (!is_1_1_) break;
        (is_named(value, "100-continue") ? request_.expects_continue : unmet_expectation_) = true;
        break;
    }
    return nullptr;
  }

  HeadParse finish(HeadParser& parser) {
    if (at_[1] != '\n') return refuse(&refusals::kBadLineEnding);
    const char* const last = at_;
    at_ += 2;
    const auto size = static_cast<std::size_t>(at_ - begin_);
    if (size > limits_.head) return refuse(&refusals::kHeadTooLarge);
    request_.head = {begin_, size};
    if (hosts_ == 0 && is_1_1_) return refuse(&refusals::kBadHost);
    request_.keep_alive = is_1_1_;
    if (framed_) {
      if (const Refusal* why = parser.feed(last, 2, 0)) return refuse(why);
      if (const Refusal* why = parser.judge_framing()) return refuse(why);
      request_.keep_alive = parser.keep_alive();
    }
    if (unmet_expectation_) return refuse(&refusals::kBadExpectation);
    if (const Refusal* why = judge_target(request_)) return refuse(why);
    return {Outcome::complete, size};
  }

  const char* const begin_;
  const char* at_;
  const char* const end_;
  const config::Limits& limits_;
  Request& request_;
  std::size_t fields_left_;
  unsigned hosts_ = 0;
  bool is_1_1_ = true;
  bool framed_ = false;
  bool unmet_expectation_ = false;
};

}  // namespace

HeadParse parse_head(std::string_view input, const config::Limits& limits, Request& request) {
  return HeadLines(input, limits, request).parse();
}

}  // namespace sonicorn::http
