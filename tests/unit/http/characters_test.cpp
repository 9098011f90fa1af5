#include "http/characters.hpp"

#include <doctest/doctest.h>

#include <random>
#include <string>

using namespace sonicorn::http;

TEST_SUITE("http.characters") {
  TEST_CASE("the fast searches find what a look at each byte finds") {
    std::mt19937 random(20261123);
    INFO("seed 20261123");
    const std::string alphabet = std::string("abzAZ09-_.:\t \r\n\x7f\x80\xff~!", 20) + '\0';
    for (int round = 0; round < 20'000; ++round) {
      std::string text(random() % 70, 'x');
      for (int i = 0; i < 3 && !text.empty(); ++i) {
        text[random() % text.size()] = alphabet[random() % alphabet.size()];
      }
      const char* const begin = text.data();
      const char* const end = begin + text.size();
      const char* const at = begin + (text.empty() ? 0 : random() % text.size());

      const char* control = at;
      while (control != end && !is_control(*control)) ++control;
      const char* token_end = at;
      while (token_end != end && is_token_char(*token_end)) ++token_end;
      CAPTURE(text);
      REQUIRE(find_control(begin, at, end) == control);
      REQUIRE(find_token_end(at, end) == token_end);
      REQUIRE(has_control({at, static_cast<std::size_t>(end - at)}) == (control != end));
    }
  }

  TEST_CASE("names compare without regard to case, and to nothing else") {
    CHECK(is_named("", ""));
    CHECK(is_named("Host", "host"));
    CHECK(is_named("CONTENT-length", "content-length"));
    CHECK(is_named("Transfer-Encoding", "transfer-encoding"));
    CHECK_FALSE(is_named("Hosts", "host"));
    CHECK_FALSE(is_named("Hist", "host"));
    for (unsigned c = 0x21; c < 0x7f; ++c) {
      if (!is_token_char(static_cast<char>(c))) continue;
      std::string name = "content-length";
      for (std::size_t at = 0; at < name.size(); ++at) {
        std::string changed = name;
        changed[at] = static_cast<char>(c);
        const bool same = lower(changed[at]) == name[at];
        CAPTURE(changed);
        CHECK(is_named(changed, name) == same);
      }
    }
  }
}
