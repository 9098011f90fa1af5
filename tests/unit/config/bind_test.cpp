#include "config/bind.hpp"

#include <doctest/doctest.h>

#include <string>

namespace sonicorn::config {
namespace {

TEST_CASE("an address and a port are read and written back the same") {
  for (const char* text : {"127.0.0.1:8000", "localhost:0", "[::1]:80", "[fe80::1%eth0]:65535",
                           "unix:/run/app.sock", "unix:relative.sock"}) {
    CAPTURE(text);
    const auto bind = parse_bind(text);
    REQUIRE(bind.has_value());
    CHECK(to_string(*bind) == text);
  }
}

TEST_CASE("an IPv6 address loses its brackets") {
  const auto bind = parse_bind("[::1]:80");
  REQUIRE(bind.has_value());
  CHECK(bind->kind == Bind::Kind::tcp);
  CHECK(bind->host == "::1");
  CHECK(bind->port == 80);
}

TEST_CASE("what is no address is refused with what is allowed") {
  for (const char* text : {"", "8000", ":8000", "host", "host:", "host:65536", "host:-1", "host:+1",
                           "host:8 0", "::1:80", "[::1]", "[::1]80", "[::1:80", "[]:80",
                           "[host]:80", "ho st:80", "http://host:80", "unix:"}) {
    CAPTURE(text);
    const auto bind = parse_bind(text);
    REQUIRE(bind.has_error());
    CHECK(bind.error().id == "config.bad_bind");
    CHECK(bind.error().message.find("HOST:PORT") != std::string::npos);
  }
}

TEST_CASE("a socket's path may be as long as the kernel takes and no longer") {
  CHECK(parse_bind("unix:" + std::string(107, 'p')).has_value());
  CHECK(parse_bind("unix:" + std::string(108, 'p')).has_error());
}

}  // namespace
}  // namespace sonicorn::config
