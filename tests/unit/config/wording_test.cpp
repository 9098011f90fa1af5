#include "config/wording.hpp"

#include <doctest/doctest.h>

#include <string>

namespace sonicorn::config {
namespace {

constexpr std::string_view kKnown[] = {"bind", "threads", "grace", "limits"};

TEST_CASE("a misspelt word finds the one that was meant") {
  CHECK(nearest("thread", kKnown) == "threads");
  CHECK(nearest("thraeds", kKnown) == "threads");
  CHECK(nearest("gracee", kKnown) == "grace");
  CHECK(nearest("bnid", kKnown) == "bind");
  CHECK(nearest("lim", kKnown) == "limits");
}

TEST_CASE("a word that is like none finds none") {
  CHECK(nearest("certificate", kKnown).empty());
  CHECK(nearest("", kKnown).empty());
  CHECK(nearest(std::string(100'000, 'x'), kKnown).empty());
  CHECK(suggestion("certificate", kKnown) == "known here: bind, threads, grace, limits");
}

TEST_CASE("a quoted text stays one line of bounded length") {
  CHECK(in_quotes("a\nb\x7f") == "\"a\\x0ab\\x7f\"");
  CHECK(in_quotes(std::string(1000, 'x')).size() < 220);
}

}  // namespace
}  // namespace sonicorn::config
