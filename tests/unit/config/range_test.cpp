#include "config/range.hpp"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>

namespace sonicorn::config {
namespace {

using std::chrono::milliseconds;

TEST_CASE("a count includes both ends and nothing beside them") {
  CHECK(parse_count("--threads", "1", kThreads).value() == 1);
  CHECK(parse_count("--threads", "1024", kThreads).value() == 1024);
  for (const char* text :
       {"0", "1025", "-1", "", "4x", " 4", "4.0", "1e2", "99999999999999999999"}) {
    CAPTURE(text);
    const auto count = parse_count("--threads", text, kThreads);
    REQUIRE(count.has_error());
    CHECK(count.error().id == "config.bad_flag");
  }
  CHECK(parse_count("--threads", "0", kThreads).error().message ==
        "--threads \"0\": allowed is a whole number from 1 to 1024");
}

TEST_CASE("seconds may have a fraction and become milliseconds") {
  CHECK(parse_time("--grace", "0", kGrace).value() == milliseconds(0));
  CHECK(parse_time("--grace", "1.5", kGrace).value() == milliseconds(1500));
  CHECK(parse_time("--grace", "0.0004", kGrace).value() == milliseconds(0));
  for (const char* text : {"-1", "86400.1", "inf", "nan", "1s", ""}) {
    CAPTURE(text);
    CHECK(parse_time("--grace", text, kGrace).has_error());
  }
}

TEST_CASE("no range contains what is not a number") {
  CHECK_FALSE(contains(kGrace, std::numeric_limits<double>::quiet_NaN()));
  CHECK_FALSE(contains(kGrace, std::numeric_limits<double>::infinity()));
}

TEST_CASE("every default of the limits is one that the file may also say") {
  const Limits limits;
  for (const CountLimit& limit : kCountLimits) {
    CAPTURE(limit.name);
    CHECK(contains(limit.range, static_cast<std::int64_t>(limits.*limit.member)));
  }
  for (const TimeLimit& limit : kTimeLimits) {
    CAPTURE(limit.name);
    CHECK(limits.*limit.member >= limit.range.least);
    CHECK(limits.*limit.member <= limit.range.most);
  }
}

}  // namespace
}  // namespace sonicorn::config
