#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <sonicorn/testing/test_host.hpp>
#include <string>

using nlohmann::json;
namespace testing = sonicorn::testing;

namespace {

struct Running {
  Running() { REQUIRE(app.start()); }
  testing::Response send(std::string method, std::string target, const std::string& body = "") {
    return app.request({.method = std::move(method),
                        .target = std::move(target),
                        .fields = {{"Content-Type", "application/json"}},
                        .body = body});
  }
  testing::Host host;
  testing::App app = host.load(APP, {.mount = "/todo"});
};

}  // namespace

TEST_CASE("a todo is made, read, changed and removed") {
  Running todo;
  const auto made = todo.send("POST", "/", R"({"title": "buy milk"})");
  CHECK(made.status == 201);
  REQUIRE(made.header("Location") == "/todo/1");
  CHECK(json::parse(todo.host.get("/todo/1").body) ==
        json({{"id", 1}, {"title", "buy milk"}, {"done", false}}));
  CHECK(json::parse(todo.send("PATCH", "/1", R"({"done": true})").body)["done"] == true);
  CHECK(json::parse(todo.app.get("/").body)["todos"].size() == 1);
  CHECK(todo.send("DELETE", "/1").status == 204);
  CHECK(todo.app.get("/1").status == 404);
}

TEST_CASE("what is no todo is refused with the right status") {
  Running todo;
  CHECK(todo.send("POST", "/", "{").status == 400);
  CHECK(todo.send("POST", "/", R"({"done": true})").status == 422);
  CHECK(todo.send("POST", "/", R"({"title": 1})").status == 422);
  CHECK(todo.app.request({.method = "POST", .body = "{}"}).status == 415);
  CHECK(todo.send("DELETE", "/").header("Allow") == "GET, HEAD, POST");
  CHECK(todo.app.get("/nothing").status == 404);
}

TEST_CASE("shutdown closes the database, and says so") {
  Running todo;
  CHECK(todo.app.logged("the database is :memory:"));
  todo.app.shutdown(sonicorn::Reason::term);
  CHECK(todo.app.logged("the database is closed: term"));
}

TEST_CASE("a setting that it does not know keeps it from starting") {
  testing::Host host;
  auto app = host.load(APP, {.settings = R"({"databse": "x"})"});
  CHECK(app.start().error ==
        "todo knows one setting, database = \"PATH\" (a string), not \"databse\"");
}
