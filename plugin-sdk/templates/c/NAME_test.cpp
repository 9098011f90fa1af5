#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <sonicorn/testing/test_host.hpp>
#include <string>

TEST_CASE("it greets on its first page, and has no other") {
  sonicorn::testing::Host host;
  auto app = host.load(APP);
  app.start();
  const auto response = app.get("/");
  CHECK(response.status == 200);
  CHECK(response.content_type == "text/html; charset=utf-8");
  CHECK(response.body.find("Hello from @NAME@") != std::string::npos);
  CHECK(app.get("/elsewhere").status == 404);
  CHECK(app.shutdown());
}
