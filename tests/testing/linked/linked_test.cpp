#include <doctest/doctest.h>

#include <sonicorn/testing/test_host.hpp>

namespace testing = sonicorn::testing;

TEST_CASE("an app that is part of the executable is found with its manifest") {
  testing::Host host;
  auto app = host.link({.mount = "/linked"});
  CHECK(app.name() == "linked");
  CHECK(app.start());
  CHECK(app.get("/").body == "1");
  CHECK(host.get("/linked/").body == "2");
  CHECK(app.calls().back().role == sonicorn::ThreadRole::io);
  CHECK(app.shutdown());
  CHECK(app.call_order() == "start on_request on_request shutdown");
}

TEST_CASE("a linked app that ends with shutdown can be started again") {
  testing::Host host;
  auto app = host.link();
  CHECK(app.start());
  CHECK(app.get("/").body == "1");
}

TEST_CASE("a linked app is refused for what the executable's manifest requires") {
  testing::Host host({.without = {"log/1"}});
  CHECK_THROWS_WITH_AS(host.link(),
                       "linked requires the capability log/1, which this test withholds: let the "
                       "host offer it, or move it from \"requires\" to \"uses\" and do without",
                       testing::Refused);
}
