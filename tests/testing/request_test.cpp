#include <doctest/doctest.h>

#include <algorithm>
#include <optional>
#include <sonicorn/app.hpp>
#include <sonicorn/testing/test_host.hpp>
#include <stdexcept>
#include <string>

using sonicorn::Exchange;
using sonicorn::Outcome;
using sonicorn::Response;
using sonicorn::Server;
namespace testing = sonicorn::testing;

namespace {

std::string fixture(const char* name) {
  return std::string(SONICORN_FIXTURE_DIR "/") + name + ".so";
}

// Answers what it was asked.
struct Echo {
  Response on_request(const sonicorn::Request& request) {
    if (request.path() == "/throw") throw std::runtime_error("a secret");
    std::string text = std::string(request.method()) + " " + std::string(request.path());
    if (!request.query().empty()) text += " ?" + std::string(request.query());
    text += " " + std::string(request.header("x-a").value_or("-")) + " " +
            std::string(request.remote()) + " " + std::string(request.body());
    return Response::text(text).header("X-From", "echo");
  }
  void on_disconnect() {}
  void shutdown() {}
};

// A filter; /deny is answered by it, /fail fails in it.
template <int kNumber>
struct Filter {
  explicit Filter(Server& from) : server(from) {}
  std::optional<Response> pre_request(const sonicorn::Request& request, Exchange& exchange) {
    if (request.path() == "/deny" && kNumber == 2) return Response::text("denied", 403);
    if (request.path() == "/fail" && kNumber == 2) throw std::runtime_error("lost");
    if (request.path() == "/bad" && kNumber == 2) exchange.header("Connection", "close");
    exchange.header("X-Filter", std::to_string(kNumber));
    exchange.header("Set-Cookie", std::to_string(kNumber));
    exchange.emplace<std::string>(request.path());
    return std::nullopt;
  }
  void post_request(const sonicorn::Request&, const Outcome& outcome, Exchange& exchange) {
    server.log(sonicorn::Level::info, *exchange.get<std::string>() + " " +
                                          std::to_string(static_cast<unsigned>(outcome.result())) +
                                          " " + std::to_string(outcome.status()) + " " +
                                          std::to_string(outcome.body_size()) + " " +
                                          std::to_string(outcome.duration().count()));
  }
  void on_disconnect() {}
  void shutdown() {}
  Server& server;
};

testing::AppOptions named(const char* name, const char* mount = "/") {
  return {.mount = mount, .name = name};
}

struct Three {
  testing::Host host;
  testing::App one = host.link<Filter<1>>(named("one"));
  testing::App two = host.link<Filter<2>>(named("two"));
  testing::App echo = host.link<Echo>(named("echo"));
  Three() {
    one.start();
    two.start();
    echo.start();
    host.forget_calls();
  }
};

}  // namespace

TEST_CASE("a request reaches the handler as it was given") {
  testing::Host host;
  auto app = host.link<Echo>(named("echo", "/api"));
  app.start();
  const auto response = app.request({.method = "POST",
                                     .target = "/a%20b/../c//d?x=%201",
                                     .fields = {{"X-A", "v"}},
                                     .body = "body",
                                     .remote = "10.0.0.1"});
  CHECK(response.status == 200);
  CHECK(response.body == "POST /c/d ?x=%201 v 10.0.0.1 body");
  CHECK(response.content_type == "text/plain; charset=utf-8");
  CHECK(response.header("x-from") == "echo");
  CHECK_FALSE(response.header("x-to"));
}

TEST_CASE("the longest mount that holds the path answers") {
  testing::Host host;
  auto outer = host.link<Echo>(named("outer", "/a"));
  auto inner = host.load(fixture("counter"), {.mount = "/a/b"});
  outer.start();
  inner.start();
  CHECK(host.get("/a/b").body == "1");
  CHECK(host.get("/a/b/c").body == "2");
  CHECK(host.get("/a/bc").body.starts_with("GET /bc"));
  CHECK(host.get("/a").body.starts_with("GET / "));
  CHECK(host.get("/ab").status == 404);
}

TEST_CASE("a target that a server answers itself is the test's mistake") {
  testing::Host host;
  auto app = host.link<Echo>(named("echo"));
  app.start();
  for (const char* target : {"", "a", "/%", "/%4", "/%zz", "/%00", "/a b", "/..", "/#a"}) {
    CAPTURE(target);
    CHECK_THROWS_AS(host.get(target), testing::Misuse);
  }
}

TEST_CASE("an error is a 500 whose text only the test sees") {
  testing::Host host;
  auto app = host.link<Echo>(named("echo"));
  app.start();
  const auto response = app.get("/throw");
  CHECK(response.status == 500);
  CHECK(response.body.empty());
  CHECK(response.error == "echo: on_request failed: a secret");
  CHECK(app.calls().back().result == SONICORN_ERROR);
  CHECK(app.calls().back().error == "a secret");
}

TEST_CASE("a response that would break the message is a 500") {
  testing::Host host;
  auto app = host.load(fixture("bad_header"));
  app.start();
  for (const char* which : {"crlf", "lf", "nul", "name", "empty_name", "length", "coding", "type",
                            "status_low", "status_high"}) {
    CAPTURE(which);
    const auto response = app.get(std::string("/?") + which);
    CHECK(response.status == 500);
    CHECK_FALSE(response.error.empty());
  }
  CHECK(app.get("/").status == 200);
}

TEST_CASE("what a response points to is released once, also after an error") {
  testing::Host host;
  auto app = host.load(fixture("release"));
  app.start();
  CHECK(app.get("/").body == "released later\n");
  CHECK(app.get("/?count").body == "1");
  CHECK(app.get("/?error").status == 500);
  CHECK(app.get("/?count").body == "2");
}

TEST_CASE("HEAD has no body") {
  testing::Host host;
  auto app = host.link<Echo>(named("echo"));
  app.start();
  const auto response = app.request({.method = "HEAD"});
  CHECK(response.status == 200);
  CHECK(response.body.empty());
}

TEST_CASE("a request passes the filters in load order and comes back in reverse") {
  Three three;
  const auto response = three.host.get("/x");
  CHECK(response.status == 200);
  CHECK(three.host.call_order() ==
        "one.pre_request two.pre_request echo.on_request two.post_request one.post_request");
  // The later filter's field stands; cookies are kept.
  CHECK(response.header("X-Filter") == "2");
  CHECK(std::count_if(response.fields.begin(), response.fields.end(),
                      [](const auto& field) { return field.name == "Set-Cookie"; }) == 2);
  CHECK(response.header("X-From") == "echo");
}

TEST_CASE("a filter that answers skips the handler, and only those before it hear of the end") {
  Three three;
  const auto response = three.host.get("/deny");
  CHECK(response.status == 403);
  CHECK(response.body == "denied");
  CHECK(response.header("X-Filter") == "1");
  CHECK(three.host.call_order() == "one.pre_request two.pre_request one.post_request");
  CHECK(three.one.logged("/deny 1 403 6 1000000"));
}

TEST_CASE("a filter that fails makes a 500") {
  Three three;
  const auto response = three.host.get("/fail");
  CHECK(response.status == 500);
  CHECK(response.error == "two: pre_request failed: lost");
  CHECK(three.host.call_order() == "one.pre_request two.pre_request one.post_request");
  CHECK(three.one.logged("/fail 4 500 0 1000000"));
}

TEST_CASE("a filter whose field cannot be sent fails, and hears of the end") {
  Three three;
  const auto response = three.host.get("/bad");
  CHECK(response.status == 500);
  CHECK(response.error.find("Connection") != std::string::npos);
  CHECK(three.host.call_order() ==
        "one.pre_request two.pre_request two.post_request one.post_request");
}

TEST_CASE("filters hear of a handler that failed") {
  Three three;
  CHECK(three.host.get("/throw").status == 500);
  CHECK(three.two.logged("/throw 4 500 0 1000000"));
}

TEST_CASE("a client that goes away is told of, and gets nothing") {
  Three three;
  const auto response = three.host.request(
      {.target = "/x", .disconnects = true, .duration = std::chrono::seconds(2)});
  CHECK(response.status == 0);
  CHECK(three.host.call_order() ==
        "one.pre_request two.pre_request echo.on_request echo.on_disconnect two.on_disconnect "
        "one.on_disconnect two.post_request one.post_request");
  CHECK(three.one.logged("/x 2 0 0 2000000000"));
}

TEST_CASE("a filter sees only what is under its mount, and needs no handler behind it") {
  testing::Host host;
  auto filter = host.link<Filter<1>>(named("filter", "/private"));
  auto echo = host.link<Echo>(named("echo"));
  filter.start();
  echo.start();
  host.get("/public");
  CHECK(filter.call_order() == "start");
  CHECK(host.get("/private/x").body.starts_with("GET /private/x"));
  CHECK(filter.call_order() == "start pre_request post_request");
  echo.shutdown();
  CHECK(filter.get("/x").status == 404);
}

TEST_CASE("a filter is called also where request_events/1 is withheld, for else all may pass") {
  testing::Host host({.without = {"request_events/1"}});
  auto filter = host.link<Filter<1>>(named("filter"));
  filter.start();
  CHECK(host.get("/").status == 404);
  CHECK(filter.call_order() == "start pre_request post_request");
}

TEST_CASE("a thread that thread_start refuses is kept away from the app") {
  struct NoThread {
    void thread_start() { throw std::runtime_error("no more threads"); }
    void thread_exit() {}
    Response on_request() { return Response(); }
    void shutdown() {}
  };
  testing::Host host;
  auto app = host.link<NoThread>();
  app.start();
  CHECK(app.get("/").status == 503);
  app.shutdown();
  CHECK(app.call_order() == "start thread_start shutdown");
}
