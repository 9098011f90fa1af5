#include "http/accept.hpp"

#include <doctest/doctest.h>

#include <initializer_list>
#include <string_view>

#include "http/response_writer.hpp"

namespace {

using sonicorn::http::Acceptance;
using sonicorn::http::acceptance_of;
using sonicorn::http::Request;
using sonicorn::http::ResponseWriter;

Request accepting(std::initializer_list<std::string_view> values) {
  Request request;
  for (const std::string_view each : values) {
    request.fields.push_back({SONICORN_STRING("Accept"), {each.data(), each.size()}});
  }
  return request;
}

std::uint32_t quality(std::string_view value, std::string_view type) {
  return acceptance_of(accepting({value}), type).quality;
}

}  // namespace

TEST_SUITE("accept") {
  TEST_CASE("a range that is named has its quality, and full quality where it gives none") {
    CHECK(quality("text/plain", "text/plain") == 1000);
    CHECK(quality("TEXT/Plain;q=0.5", "text/plain") == 500);
    CHECK(quality("text/plain ; charset=utf-8 ; Q = 0.123", "text/plain") == 123);
    CHECK(quality("text/plain;q=0", "text/plain") == 0);
    CHECK(quality("text/plain;q=1.000", "text/plain") == 1000);
    CHECK(quality("text/plain;q=high", "text/plain") == 1000);
    CHECK(quality("text/html, image/png", "text/plain") == 0);
    CHECK(quality("", "text/plain") == 0);
    CHECK(quality(",;,/,*", "text/plain") == 0);
  }

  TEST_CASE("of several ranges that match, the most precise decides") {
    CHECK(quality("*/*, text/*;q=0.4, text/plain;q=0.2", "text/plain") == 200);
    CHECK(quality("text/*;q=0.4, */*", "text/plain") == 400);
    CHECK(quality("*/*;q=0.1", "text/plain") == 100);
    CHECK(acceptance_of(accepting({"text/html", "text/*"}), "text/plain").named ==
          Acceptance::Named::by_its_type);
  }

  TEST_CASE("errors are JSON for who names it and likes it no less than text") {
    for (const std::string_view value :
         {"application/json", "text/html, Application/JSON", "application/*",
          "text/plain, "
          "application/json",
          "application/problem+json", "*/*;q=0.1, application/json;q=0.2"}) {
      CAPTURE(value);
      CHECK(ResponseWriter::wants_json(accepting({value})));
    }
    CHECK(ResponseWriter::wants_json(accepting({"text/html", "application/json"})));
  }

  TEST_CASE("errors are text for everybody else") {
    CHECK_FALSE(ResponseWriter::wants_json(accepting({})));
    for (const std::string_view value :
         {"*/*", "text/plain", "application/json;q=0", "text/plain, application/json;q=0.9",
          "application/jsonx", "application/json;q=0.5, */*"}) {
      CAPTURE(value);
      CHECK_FALSE(ResponseWriter::wants_json(accepting({value})));
    }
  }
}
