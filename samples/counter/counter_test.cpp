#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <sonicorn/testing/test_host.hpp>

namespace testing = sonicorn::testing;

TEST_CASE("it counts") {
  testing::Host host;
  auto app = host.load(APP);
  app.start();
  CHECK(app.get("/").body == "1\n");
  CHECK(app.get("/").body == "2\n");
}
