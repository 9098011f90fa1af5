#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <sonicorn/testing/test_host.hpp>

namespace testing = sonicorn::testing;

TEST_CASE("it greets with what the bus says") {
  testing::Host host;
  auto app = host.load(APP);
  app.start();
  CHECK(app.get("/").body == "Hello, world\n");
  host.publish("greeting", R"({"text": "Good morning"})");
  CHECK(app.get("/").body == "Good morning, world\n");
}

TEST_CASE("a message that is no greeting changes nothing, and is logged") {
  testing::Host host;
  auto app = host.load(APP);
  app.start();
  for (const char* message : {"1", "{}", R"({"text": 1})", R"({"text": ""})"}) {
    CAPTURE(message);
    host.publish("greeting", message);
    CHECK(app.calls().back().result == SONICORN_DECLINED);
  }
  CHECK(app.get("/").body == "Hello, world\n");
  CHECK(app.logged("it stays as it is"));
}

TEST_CASE("PUT publishes a greeting, which reaches the app itself") {
  testing::Host host;
  auto app = host.load(APP);
  app.start();
  CHECK(app.request({.method = "PUT", .body = R"({"text": "Ahoy"})"}).status == 202);
  CHECK(app.call_order() == "start on_request on_event");
  CHECK(app.get("/").body == "Ahoy, world\n");
  CHECK(app.request({.method = "PUT", .body = "Ahoy"}).status == 400);
  CHECK(app.request({.method = "DELETE"}).header("Allow") == "GET, HEAD, PUT");
}

TEST_CASE("without a bus it greets with its default, and says so in the log") {
  testing::Host host({.without = {"bus/1"}});
  auto app = host.load(APP);
  CHECK(app.start());
  CHECK(app.logged("this server delivers no bus/1"));
  CHECK(app.get("/").body == "Hello, world\n");
  CHECK(app.request({.method = "PUT", .body = R"({"text": "Ahoy"})"}).status == 501);
}
