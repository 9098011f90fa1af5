#include "core/text.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>

namespace sonicorn::core {
namespace {

using namespace std::string_literals;

std::string as_json(std::string_view text) {
  std::string out;
  append_json(out, text);
  return out;
}

std::string as_line(std::string_view text) {
  std::string out;
  append_line(out, text);
  return out;
}

std::string quoted(std::string_view text) {
  std::string out;
  append_quoted(out, text);
  return out;
}

TEST_CASE("a JSON string says the text again, whatever is in it") {
  std::string every;
  for (int c = 0; c < 128; ++c) every += static_cast<char>(c);
  every += "\u00e4\u20ac\U0001F600";
  CHECK(nlohmann::json::parse(as_json(every)).get<std::string>() == every);
  CHECK(as_json("a\"b\\c\nd\x01\x7f") == "\"a\\\"b\\\\c\\nd\\u0001\\u007f\"");
}

TEST_CASE("bytes that are no UTF-8 are replaced one by one") {
  CHECK(as_json("a\xff\xe4z") == "\"a\uFFFD\uFFFDz\"");
  CHECK(as_json("\xc0\xaf") == "\"\uFFFD\uFFFD\"");            // too long a form of "/"
  CHECK(as_json("\xed\xa0\x80") == "\"\uFFFD\uFFFD\uFFFD\"");  // a surrogate
  CHECK(as_json("\xe2\x82") == "\"\uFFFD\uFFFD\"");            // cut short
  CHECK(as_utf8("ok\xf5") == "ok\uFFFD");
}

TEST_CASE("a text becomes one line") {
  CHECK(as_line("a\r\nb\tc\x1b[0m\x7f"s + '\0') == "a\\r\\nb\\tc\\x1b[0m\\x7f\\x00");
  CHECK(as_line("\u00e4\"\\") == "\u00e4\"\\");
  CHECK(has_control("a\n"));
  CHECK_FALSE(has_control("a \u00e4"));
}

TEST_CASE("a text between quotes cannot end them") {
  CHECK(quoted("a\" 200 \"\\\n") == "a\\\" 200 \\\"\\\\\\n");
  CHECK(quoted("\xe4\x80") == "\\xe4\\x80");
}

TEST_CASE("a part of a URI is what it was, decoded") {
  CHECK(percent_encoded("a-Z_0.~") == "a-Z_0.~");
  CHECK(percent_encoded("my app/\r\n\xe4") == "my%20app%2F%0D%0A%E4");
  std::string every;
  for (int c = 0; c < 256; ++c) every += static_cast<char>(c);
  CHECK(percent_decoded(percent_encoded(every)) == every);
  CHECK(percent_decoded("%c3%A4") == "\xc3\xa4");
  for (const char* const wrong : {"%", "a%4", "%g0", "%0g", "%%41"}) {
    CHECK_FALSE(percent_decoded(wrong).has_value());
  }
}

}  // namespace
}  // namespace sonicorn::core
