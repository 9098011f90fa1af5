#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <sonicorn/testing/test_host.hpp>

TEST_CASE("it greets from C, on the thread that read the request") {
  sonicorn::testing::Host host;
  auto app = host.load(APP);
  app.start();
  const auto response = app.get("/");
  CHECK(response.status == 200);
  CHECK(response.content_type == "text/plain");
  CHECK(response.body == "Hello from C\n");
  CHECK(app.calls().back().role == sonicorn::ThreadRole::io);
}
