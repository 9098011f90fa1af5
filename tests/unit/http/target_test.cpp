#include "http/target.hpp"

#include <doctest/doctest.h>

#include <optional>
#include <string>

using namespace sonicorn::http;

namespace {

std::optional<std::string> canonical(std::string_view path) {
  std::string out;
  if (!canonical_path(path, out)) return std::nullopt;
  return out;
}

}  // namespace

TEST_SUITE("http.target") {
  TEST_CASE("a path that names the same resource has one canonical form") {
    CHECK(canonical("/") == "/");
    CHECK(canonical("/a/b") == "/a/b");
    CHECK(canonical("/a/b/") == "/a/b/");
    CHECK(canonical("//a///b") == "/a/b");
    CHECK(canonical("/a/./b/.") == "/a/b/");
    CHECK(canonical("/a/../b") == "/b");
    CHECK(canonical("/a/..") == "/");
    CHECK(canonical("/a/b/..") == "/a/");
    CHECK(canonical("/%61dmin") == "/admin");
    CHECK(canonical("/a/%2e%2E/b") == "/b");
    CHECK(canonical("/a%2fb") == "/a/b");
    CHECK(canonical("/...") == "/...");
    CHECK(canonical("/.a") == "/.a");
  }

  TEST_CASE("a path that climbs above the root or hides a zero byte is refused") {
    CHECK_FALSE(canonical("/.."));
    CHECK_FALSE(canonical("/a/../../b"));
    CHECK_FALSE(canonical("/%2e%2e/x"));
    CHECK_FALSE(canonical("/%00"));
    CHECK_FALSE(canonical("/%"));
    CHECK_FALSE(canonical("/%4"));
    CHECK_FALSE(canonical("/%zz"));
  }

  TEST_CASE("a target is taken apart into authority, path and query") {
    const auto parsed = [](const char* text) {
      Target found;
      REQUIRE(parse_target(text, found));
      return found;
    };
    Target target = parsed("/a/b?c=d?e");
    CHECK(target.path == "/a/b");
    CHECK(target.query == "c=d?e");
    CHECK(target.plain);
    target = parsed("HTTP://h:1?q");
    CHECK(target.authority == "h:1");
    CHECK(target.path == "/");
    CHECK(target.query == "q");
    CHECK_FALSE(parsed("/a/../b").plain);
    CHECK(parsed("/style.css").plain);
    for (const char* bad : {"", "a", "a:80", "ftp://h/", "http:///", "http://a b/", "/a b", "/a#b",
                            "/\x7f", "/\x80"}) {
      CAPTURE(bad);
      Target refused;
      CHECK_FALSE(parse_target(bad, refused));
    }
  }

  TEST_CASE("a Host is a name or an address with an optional port") {
    for (const char* good : {"", "a", "a.b:80", "127.0.0.1", "[::1]", "[::1]:8080", "a:"}) {
      CAPTURE(good);
      CHECK(valid_host(good));
    }
    for (const char* bad :
         {"a b", "a/b", ":80", "a:b", "a:65536", "a:1:2", "[::1", "[]", "[x]", "a@b", "a\x80"}) {
      CAPTURE(bad);
      CHECK_FALSE(valid_host(bad));
    }
  }
}
