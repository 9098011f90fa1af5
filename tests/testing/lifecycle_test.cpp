#include <doctest/doctest.h>
#include <signal.h>

#include <sonicorn/app.hpp>
#include <sonicorn/testing/test_host.hpp>
#include <stdexcept>
#include <string>

using sonicorn::Reason;
using sonicorn::Response;
using sonicorn::Server;
namespace testing = sonicorn::testing;

namespace {

int alive = 0;

// Has every attribute that a host calls, and counts its objects.
struct Whole {
  explicit Whole(Server& from) : server(from) { ++alive; }
  ~Whole() { --alive; }

  void health(const sonicorn::Context& context) {
    if (context.process_role() != sonicorn::ProcessRole::test) throw std::runtime_error("role");
  }
  void ready() {}
  Response on_request(const sonicorn::Request& request) {
    if (request.path() == "/throw") throw std::runtime_error("a secret");
    return Response::text(std::string(request.path()));
  }
  sonicorn::Answer on_event(const sonicorn::Event& event) {
    last = std::string(event.action()) + " " + std::string(event.message());
    return event.action() == "unknown" ? sonicorn::Answer::declined : sonicorn::Answer::ok;
  }
  void thread_start(const sonicorn::Context&) {}
  void thread_exit(const sonicorn::Context&) {}
  void reload(const sonicorn::Reload& reload) {
    if (reload.settings() == R"({"bad":1})") throw std::runtime_error("bad is unknown");
    last = reload.settings();
  }
  sonicorn::Drained drain(const sonicorn::Drain& why) {
    server.log(sonicorn::Level::info, why.message());
    return sonicorn::Drained::not_yet;
  }
  std::string describe() { return R"({"last":")" + last + "\"}"; }
  void shutdown(const sonicorn::Shutdown& why) {
    server.log(sonicorn::Level::info, std::string(why.reason_name()) + " " +
                                          std::to_string(why.signal_number()) + " " +
                                          std::string(why.message()));
  }

  Server& server;
  std::string last;
};

struct NoShutdown {
  NoShutdown() { ++alive; }
  ~NoShutdown() { --alive; }
  Response on_request() { return Response::text("still here"); }
};

struct Refuses {
  Refuses() { throw std::runtime_error("the database is away"); }
  void shutdown() {}
};

const testing::AppOptions kWhole = {.manifest = R"({"name": "whole"})"};

}  // namespace

TEST_CASE("the calls of a whole life are in the order of the ABI") {
  testing::Host host;
  auto app = host.link<Whole>(kWhole);
  CHECK(app.start());
  CHECK(app.health());
  CHECK(app.ready());
  CHECK(app.get("/a").body == "/a");
  CHECK(app.get("/b").body == "/b");
  CHECK(app.drain().declined());
  CHECK(app.shutdown());
  CHECK(alive == 0);
  CHECK(app.call_order() ==
        "start health ready thread_start on_request on_request drain thread_exit shutdown");
}

TEST_CASE("a call says its thread, its scope and its reason") {
  testing::Host host;
  auto app = host.link<Whole>(kWhole);
  app.start();
  app.get("/");
  app.shutdown(Reason::term);
  const auto& calls = app.calls();
  REQUIRE(app.call_order() == "start ready thread_start on_request thread_exit shutdown");
  CHECK(calls[0].role == sonicorn::ThreadRole::lifecycle);
  CHECK(calls[2].scope == sonicorn::Scope::worker);
  CHECK(calls[3].role == sonicorn::ThreadRole::pool);
  CHECK(calls[3].scope == sonicorn::Scope::request);
  CHECK(calls[5].role == sonicorn::ThreadRole::lifecycle);
  CHECK(calls[5].reason == Reason::term);
}

TEST_CASE("an app without an attribute is not called for it") {
  testing::Host host;
  auto app = host.link<NoShutdown>();
  app.start();
  CHECK_FALSE(app.health().called);
  CHECK_FALSE(app.event({.action = "anything"}).called);
  CHECK_FALSE(app.reload_settings("{}").called);
  CHECK_FALSE(app.drain().called);
  CHECK(app.is_drained());
  CHECK(app.describe().empty());
  CHECK_FALSE(app.shutdown().called);
  CHECK(alive == 0);
  CHECK(app.call_order() == "start");
}

TEST_CASE("a class without shutdown can be started again by another host") {
  for (int round = 0; round < 2; ++round) {
    testing::Host host;
    auto app = host.link<NoShutdown>();
    CHECK(app.start());
    CHECK(app.get("/").body == "still here");
  }
  CHECK(alive == 0);
}

TEST_CASE("what no server would do is refused") {
  testing::Host host;
  auto app = host.link<Whole>(kWhole);
  CHECK_THROWS_WITH_AS(app.get("/"), "app whole: a request before start", testing::Misuse);
  CHECK_THROWS_WITH_AS(app.shutdown(), "app whole: shutdown before start", testing::Misuse);
  CHECK_THROWS_AS(host.get("/"), testing::Misuse);
  app.start();
  CHECK_THROWS_WITH_AS(app.start(), "app whole: start a second time", testing::Misuse);
  app.ready();
  CHECK_THROWS_WITH_AS(app.ready(), "app whole: ready a second time", testing::Misuse);
  CHECK_THROWS_AS(app.event({.scope = sonicorn::Scope::bus}), testing::Misuse);
  CHECK_THROWS_AS(app.reload_settings("nothing"), testing::Misuse);
  app.shutdown();
  CHECK_THROWS_WITH_AS(app.shutdown(), "app whole: shutdown after shutdown", testing::Misuse);
  CHECK_THROWS_WITH_AS(app.get("/"), "app whole: a request after shutdown", testing::Misuse);
  CHECK_THROWS_WITH_AS(app.start(), "app whole: start after shutdown", testing::Misuse);
  // For the host it is not there any more.
  CHECK(host.get("/").status == 404);
}

TEST_CASE("a start that fails says why, and nothing else is called") {
  testing::Host host;
  auto app = host.link<Refuses>({.manifest = R"({"name": "refuses"})"});
  const testing::Result result = app.start();
  CHECK(result.failed());
  CHECK(result.error == "the database is away");
  CHECK(host.logged("start failed: the database is away"));
  CHECK_THROWS_WITH_AS(app.get("/"),
                       "app refuses: a request after its start failed: the database is away",
                       testing::Misuse);
}

TEST_CASE("a loaded app whose start fails is not shut down") {
  testing::Host host;
  auto app = host.load(SONICORN_FIXTURE_DIR "/start_fails.so");
  CHECK(app.start().error == "the database is away");
}

TEST_CASE("an app that goes out of scope is shut down") {
  testing::Host host;
  {
    auto app = host.link<Whole>(kWhole);
    app.start();
    CHECK(alive == 1);
  }
  CHECK(alive == 0);
  CHECK(host.call_order() == "whole.start whole.shutdown");
  CHECK(host.logged("test 0"));
}

TEST_CASE("an app may be moved, and may outlive its host") {
  auto host = std::make_unique<testing::Host>();
  auto first = host->link<Whole>(kWhole);
  first.start();
  auto other = host->link<NoShutdown>({.mount = "/other"});
  other = std::move(first);
  host.reset();
  CHECK(other.get("/x").body == "/x");
  CHECK(alive == 1);
  CHECK(other.shutdown());
  CHECK(alive == 0);
}

TEST_CASE("shutdown carries reason, signal and message") {
  testing::Host host;
  auto app = host.link<Whole>(kWhole);
  app.start();
  app.shutdown({.reason = Reason::interrupt, .message = "enough"});
  CHECK(app.logged("int " + std::to_string(SIGINT) + " enough"));
}

TEST_CASE("an event reaches on_event with its action and message") {
  testing::Host host;
  auto app = host.link<Whole>(kWhole);
  app.start();
  CHECK(app.event({.action = "config_changed", .message = R"({"a":1})"}));
  CHECK(app.event({.action = "unknown"}).declined());
  CHECK(app.describe() == R"({"last":"unknown "})");
  CHECK_THROWS_AS(app.event({.action = "x", .message = "no JSON"}), testing::Misuse);
}

TEST_CASE("new settings are applied or refused") {
  testing::Host host;
  auto app = host.link<Whole>(kWhole);
  app.start();
  CHECK(app.reload_settings("{}"));
  CHECK(app.calls().back().reason == sonicorn::Reason::config_changed);
  CHECK(app.reload_settings(R"({"bad":1})").error == "bad is unknown");
  CHECK(app.prepare_reload());
  CHECK(app.abort_reload());
}

TEST_CASE("a description that is no JSON object is the app's mistake") {
  struct Wrong {
    std::string describe() { return "routes"; }
    void shutdown() {}
  };
  testing::Host host;
  auto app = host.link<Wrong>({.manifest = R"({"name": "wrong"})"});
  app.start();
  CHECK_THROWS_WITH_AS(app.describe(), "app wrong: describe gives no JSON object: routes",
                       testing::BrokenRule);
}

TEST_CASE("a drain that is not done yet is done when the app says so") {
  struct Drains {
    explicit Drains(Server& from) : server(from) {}
    sonicorn::Drained drain() { return sonicorn::Drained::not_yet; }
    Response on_request() {
      server.capability<sonicorn_drain_promise>()->finished(server.c());
      return Response(204);
    }
    void shutdown() {}
    Server& server;
  };
  testing::Host host;
  auto app = host.link<Drains>();
  app.start();
  app.get("/");
  CHECK_FALSE(app.is_drained());
  CHECK(app.drain().declined());
  CHECK_FALSE(app.is_drained());
  app.get("/");
  CHECK(app.is_drained());
}

TEST_CASE("a promise that is withheld is not given, and its attributes are called all the same") {
  testing::Host host({.without = {"drain/1", "reload/1", "events/1"}});
  auto app = host.link<Whole>(kWhole);
  app.start();
  CHECK(app.reload_settings("{}").called);
  CHECK(app.event({.action = "x"}).called);
  CHECK(app.drain().called);
  CHECK(app.shutdown().called);
}

TEST_CASE("the number of a generation counts the loads of one name") {
  testing::Host host;
  struct Counts {
    Response on_request(const sonicorn::Request& request) {
      return Response::text(std::to_string(request.context().generation()));
    }
    void shutdown() {}
  };
  for (const char* number : {"1", "2"}) {
    auto app = host.link<Counts>();
    app.start();
    CHECK(app.get("/").body == number);
  }
}

TEST_CASE("the calls so far can be forgotten") {
  testing::Host host;
  auto app = host.link<Whole>(kWhole);
  app.start();
  app.get("/");
  app.forget_calls();
  host.forget_calls();
  app.get("/");
  CHECK(app.call_order() == "on_request");
  CHECK(host.call_order() == "whole.on_request");
}
