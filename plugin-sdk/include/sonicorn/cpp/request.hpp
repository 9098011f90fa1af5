// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sonicorn/request.h>

#include <cstddef>
#include <iterator>
#include <optional>
#include <sonicorn/cpp/context.hpp>
#include <sonicorn/cpp/text.hpp>
#include <string>
#include <string_view>

namespace sonicorn {

// A header field of a request, as received.
struct Field {
  std::string_view name;
  std::string_view value;
};

// The header fields of a request, in the order received.
class Fields {
 public:
  class Iterator {
   public:
    using value_type = Field;
    using difference_type = std::ptrdiff_t;

    Iterator() = default;
    explicit Iterator(const sonicorn_field* field) : field_(field) {}
    Field operator*() const {
      return {detail::view_of(field_->name), detail::view_of(field_->value)};
    }
    Iterator& operator++() {
      ++field_;
      return *this;
    }
    Iterator operator++(int) {
      const Iterator before = *this;
      ++field_;
      return before;
    }
    bool operator==(const Iterator&) const = default;

   private:
    const sonicorn_field* field_ = nullptr;
  };

  Fields(const sonicorn_field* first, std::size_t count) : first_(first), count_(count) {}
  Iterator begin() const { return Iterator(first_); }
  Iterator end() const { return Iterator(first_ + count_); }
  std::size_t size() const { return count_; }

 private:
  const sonicorn_field* first_;
  std::size_t count_;
};

namespace detail {

constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

constexpr bool equal_ignoring_case(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (lower(a[i]) != lower(b[i])) return false;
  }
  return true;
}

constexpr int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  const char small = lower(c);
  return small >= 'a' && small <= 'f' ? small - 'a' + 10 : -1;
}

// application/x-www-form-urlencoded to bytes; a percent sign that begins no escape stays itself.
inline std::string form_decoded(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && hex_digit(text[i + 1]) >= 0 &&
        hex_digit(text[i + 2]) >= 0) {
      out += static_cast<char>(hex_digit(text[i + 1]) * 16 + hex_digit(text[i + 2]));
      i += 2;
    } else {
      out += text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

}  // namespace detail

// One HTTP request, whole. A view: it and everything it gives out are valid until the call that
// received it returns. Only read, so any thread may use it until then.
class Request {
 public:
  Request(const sonicorn_request* request, const sonicorn_context* context)
      : request_(request), context_(context) {}

  // "GET"; any token.
  std::string_view method() const { return detail::view_of(request_->method); }

  // As received: "/todo/a%20b?x=1".
  std::string_view target() const { return detail::view_of(request_->target); }

  // Where the app is mounted: "" or "/todo".
  std::string_view mount() const { return detail::view_of(request_->mount); }

  // Below the mount, decoded, without dot segments: "/a b"; at least "/".
  std::string_view path() const { return detail::view_of(request_->path); }

  // As received, without the question mark.
  std::string_view query() const { return detail::view_of(request_->query); }

  // "http" or "https".
  std::string_view scheme() const { return detail::view_of(request_->scheme); }

  // The peer's address without port; "unix" for a Unix socket.
  std::string_view remote() const { return detail::view_of(request_->remote); }

  // Whole, without transfer coding.
  std::string_view body() const { return detail::view_of(request_->body); }

  // 10 or 11.
  unsigned http_version() const { return request_->http_version; }

  Fields fields() const { return {request_->fields, request_->field_count}; }

  // The value of the first field of this name, in any case; nullopt when there is none.
  std::optional<std::string_view> header(std::string_view name) const {
    for (const Field field : fields()) {
      if (detail::equal_ignoring_case(field.name, name)) return field.value;
    }
    return std::nullopt;
  }

  // The first parameter of this name in the query, decoded as a form is; "" for one without "=";
  // nullopt when there is none.
  std::optional<std::string> query_value(std::string_view name) const {
    std::string_view rest = query();
    while (!rest.empty()) {
      const std::string_view pair = rest.substr(0, rest.find('&'));
      rest.remove_prefix(pair.size() < rest.size() ? pair.size() + 1 : pair.size());
      const std::size_t equals = pair.find('=');
      if (detail::form_decoded(pair.substr(0, equals)) != name) continue;
      if (equals == std::string_view::npos) return std::string();
      return detail::form_decoded(pair.substr(equals + 1));
    }
    return std::nullopt;
  }

  // Thread, generation, deadline of this call.
  Context context() const { return Context(context_); }

  // The C struct behind it.
  const sonicorn_request* c() const { return request_; }

 private:
  const sonicorn_request* request_;
  const sonicorn_context* context_;
};

}  // namespace sonicorn
