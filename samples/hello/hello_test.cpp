#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <sonicorn/testing/test_host.hpp>

// hello.cpp is part of this executable, so there is nothing to load.
TEST_CASE("it greets the world") {
  sonicorn::testing::Host host;
  auto app = host.link();
  app.start();
  CHECK(app.get("/").body == "Hello, world\n");
  CHECK(app.get("/anywhere").status == 200);
  app.shutdown();
  CHECK(app.call_order() == "start on_request on_request");
}
