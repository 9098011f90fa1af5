#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <sonicorn/testing/test_host.hpp>

#include "time_machine.h"

namespace testing = sonicorn::testing;

TEST_CASE("a server without a time machine refuses it, and names what is missing") {
  testing::Host host;
  CHECK_THROWS_WITH_AS(
      host.load(APP),
      doctest::Contains("picky.so requires the capability com.example.time-machine/1"),
      testing::Refused);
  CHECK(host.call_order().empty());
}

TEST_CASE("with a time machine it runs") {
  const time_machine machine = {sizeof(time_machine), 0, [] { return 1885; }};
  testing::Host host;
  host.offer(TIME_MACHINE_CAPABILITY, &machine);
  auto app = host.load(APP);
  app.start();
  CHECK(app.get("/").body == "Long ago\n");
}
