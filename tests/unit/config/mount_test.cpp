#include "config/mount.hpp"

#include <doctest/doctest.h>

#include <string>

namespace sonicorn::config {
namespace {

bool nothing_exists(const std::filesystem::path&) { return false; }
bool all_exists(const std::filesystem::path&) { return true; }

TEST_CASE("a mount is the root or a prefix without a slash at its end") {
  CHECK(normal_mount("/").value() == "/");
  CHECK(normal_mount("/api").value() == "/api");
  CHECK(normal_mount("/api/").value() == "/api");
  CHECK(normal_mount("/a/b-c/d.e").value() == "/a/b-c/d.e");
}

TEST_CASE("a mount that a request could not name in one way only is refused") {
  for (const char* text : {"", "api", "//", "/a//b", "/..", "/a/../b", "/a/.", "/a?b", "/a#b",
                           "/a%20b", "/a b", "/a\tb", "/\xc3\xa9", "/a\\b"}) {
    CAPTURE(text);
    const auto mount = normal_mount(text);
    REQUIRE(mount.has_error());
    CHECK(mount.error().id == "config.bad_mount");
    CHECK(mount.error().message.find('\n') == std::string::npos);
  }
  CHECK(normal_mount("/" + std::string(2000, 'a')).has_error());
}

TEST_CASE("an argument is a file on the root unless it names a mount") {
  const auto plain = parse_app_argument("./hello.so", nothing_exists);
  REQUIRE(plain.has_value());
  CHECK(plain->mount == "/");
  CHECK(plain->file == "./hello.so");

  const auto mounted = parse_app_argument("/api/v1=./a=b.so", nothing_exists);
  REQUIRE(mounted.has_value());
  CHECK(mounted->mount == "/api/v1");
  CHECK(mounted->file == "./a=b.so");
}

TEST_CASE("an absolute path with an equals sign is a file when there is one") {
  const auto file = parse_app_argument("/srv/a=b.so", all_exists);
  REQUIRE(file.has_value());
  CHECK(file->mount == "/");
  CHECK(file->file == "/srv/a=b.so");
}

TEST_CASE("a relative path with an equals sign is always a file") {
  const auto file = parse_app_argument("api=./api.so", nothing_exists);
  REQUIRE(file.has_value());
  CHECK(file->file == "api=./api.so");
}

TEST_CASE("an argument without a file is refused") {
  CHECK(parse_app_argument("", nothing_exists).error().id == "config.bad_app");
  CHECK(parse_app_argument("/api=", nothing_exists).error().id == "config.bad_app");
  CHECK(parse_app_argument("/a//b=./x.so", nothing_exists).error().id == "config.bad_mount");
}

}  // namespace
}  // namespace sonicorn::config
