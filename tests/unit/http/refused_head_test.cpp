#include "http/refused_head.hpp"

#include <doctest/doctest.h>

#include <string_view>

namespace {

using sonicorn::http::read_refused_head;
using sonicorn::http::Request;

Request read(std::string_view lines) {
  Request request;
  read_refused_head(lines, request);
  return request;
}

}  // namespace

TEST_SUITE("refused head") {
  TEST_CASE("Accept is found wherever it stands") {
    CHECK(read("GET x y z\r\nHost: a\r\naccept:text/plain\r\nB\r\n").field("accept") ==
          "text/plain");
    CHECK(read("\r\nGET / HTTP/1.1\nAccept: a/b\nAccept: c/d\n").fields.size() == 2);
    CHECK(read("GET / HTTP/1.1\r\nX-Accept: a/b\r\n").fields.empty());
    CHECK(read("").fields.empty());
  }

  TEST_CASE("HEAD is known by the first line") {
    CHECK(read("HEAD x y\r\n").head_only);
    CHECK(read("\r\nHEAD / HTTP/1.1\r\n").head_only);
    CHECK_FALSE(read("GET / HTTP/1.1\r\nHEAD / HTTP/1.1\r\n").head_only);
    CHECK_FALSE(read("HEADER / HTTP/1.1\r\n").head_only);
  }

  TEST_CASE("a line that is not whole does not count") {
    CHECK(read("GET / HTTP/1.1\r\nAccept: application/json").fields.empty());
  }
}
