#include <doctest/doctest.h>

#include <atomic>
#include <sonicorn/app.hpp>
#include <sonicorn/testing/test_host.hpp>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

using namespace std::chrono_literals;
using sonicorn::Response;
using sonicorn::Server;
namespace testing = sonicorn::testing;

namespace {

// An app that does what a test says, with the server at hand.
struct Puppet {
  explicit Puppet(Server& from) : server(&from) { here = this; }
  ~Puppet() { here = nullptr; }
  Response on_request() {
    if (during_request) during_request(*server);
    return Response(204);
  }
  void on_event(const sonicorn::Event& event) {
    events.push_back(std::string(event.action()) + " " + std::string(event.message()));
    if (during_event) during_event(*server);
  }
  void ready() {
    if (during_ready) during_ready(*server);
  }
  void shutdown() {}

  template <class Table>
  const Table& table() const {
    return *server->capability<Table>();
  }

  static inline Puppet* here = nullptr;
  Server* server;
  std::vector<std::string> events;
  void (*during_request)(Server&) = nullptr;
  void (*during_event)(Server&) = nullptr;
  void (*during_ready)(Server&) = nullptr;
};

struct Stage {
  explicit Stage(testing::HostOptions options = {}) : host(std::move(options)) { app.start(); }
  testing::Host host;
  testing::App app = host.link<Puppet>({.name = "puppet"});
  Puppet& puppet() { return *Puppet::here; }
  const sonicorn_server* server() { return puppet().server->c(); }
};

std::vector<std::string> fired;

void fire(void* name) { fired.emplace_back(static_cast<const char*>(name)); }

void* text(const char* literal) { return const_cast<char*>(literal); }

}  // namespace

TEST_CASE("every capability that the host offers has a table, others are NULL") {
  Stage stage;
  for (const char* id :
       {"shutdown/1", "drain/1", "reload/1", "request_events/1", "events/1", "log/1", "metrics/1",
        "timer/1", "background/1", "bus/1", "control/1", "thread_check/1"}) {
    CAPTURE(id);
    CHECK(stage.server()->get_capability(stage.server(), id) != nullptr);
  }
  for (const char* id : {"state/1", "streaming/1", "websocket/1", "log/2", "log", "", "/1"}) {
    CAPTURE(id);
    CHECK(stage.server()->get_capability(stage.server(), id) == nullptr);
  }
  CHECK(stage.server()->get_capability(stage.server(), nullptr) == nullptr);
}

TEST_CASE("what is withheld is NULL for apps that come later, and stays for those before") {
  Stage stage;
  stage.host.withhold("bus/1");
  CHECK(stage.puppet().server->capability<sonicorn_bus>() != nullptr);
  struct Later {
    explicit Later(Server& server) : has_bus(server.capability<sonicorn_bus>() != nullptr) {}
    Response on_request() { return Response::text(has_bus ? "bus" : "none"); }
    void shutdown() {}
    bool has_bus;
  };
  auto later = stage.host.link<Later>({.mount = "/later"});
  later.start();
  CHECK(later.get("/").body == "none");
}

TEST_CASE("a table of the test's own is handed through") {
  testing::Host host;
  const int table = 7;
  host.offer("com.example.seven/1", &table);
  auto app = host.link<Puppet>();
  app.start();
  CHECK(*Puppet::here->server->capability<int>("com.example.seven/1") == 7);
  CHECK_THROWS_AS(host.offer("seven", &table), testing::Misuse);
}

TEST_CASE("lines of the log carry app and level, and stay one line") {
  Stage stage;
  stage.puppet().server->log(sonicorn::Level::warning, "two\nlines");
  REQUIRE(stage.host.log().size() == 1);
  CHECK(stage.host.log()[0].app == "puppet");
  CHECK(stage.host.log()[0].level == sonicorn::Level::warning);
  CHECK(stage.app.log() == std::vector<std::string>{"two\\nlines"});
  CHECK(stage.app.logged("two"));
  CHECK_FALSE(stage.app.logged("three"));
}

TEST_CASE("a metric's name has one kind in all apps of a host") {
  testing::Host host;
  auto one = host.link<Puppet>({.mount = "/one", .name = "one"});
  one.start();
  const sonicorn_server* const first = Puppet::here->server->c();
  auto two = host.link<Puppet>({.mount = "/two", .name = "two"});
  two.start();
  const sonicorn_server* const second = Puppet::here->server->c();
  const auto& metrics = Puppet::here->table<sonicorn_metrics>();
  CHECK(metrics.get(first, SONICORN_METRIC_COUNTER, "hits", "") != nullptr);
  CHECK(metrics.get(second, SONICORN_METRIC_GAUGE, "hits", "") == nullptr);
  CHECK(metrics.get(second, SONICORN_METRIC_COUNTER, "hits", "") != nullptr);
}

TEST_CASE("metrics count, and what makes no sense is ignored") {
  Stage stage;
  const auto& metrics = stage.puppet().table<sonicorn_metrics>();
  auto* counter = metrics.get(stage.server(), SONICORN_METRIC_COUNTER, "hits_total", "Hits.");
  auto* gauge = metrics.get(stage.server(), SONICORN_METRIC_GAUGE, "depth", "Depth.");
  auto* histogram = metrics.get(stage.server(), SONICORN_METRIC_HISTOGRAM, "seconds", "Time.");
  metrics.add(counter, 2);
  metrics.add(counter, -1);
  metrics.set(counter, 9);
  metrics.set(gauge, 5);
  metrics.add(gauge, -2);
  metrics.set(histogram, 0.5);
  metrics.set(histogram, 1.5);
  metrics.add(histogram, 1);
  metrics.add(nullptr, 1);
  CHECK(stage.app.metric("hits_total").value == 2);
  CHECK(stage.app.metric("hits_total").help == "Hits.");
  CHECK(stage.app.metric("depth").value == 3);
  CHECK(stage.app.metric("seconds").observations == std::vector<double>{0.5, 1.5});
  CHECK(stage.app.metrics().size() == 3);
  CHECK(metrics.get(stage.server(), SONICORN_METRIC_COUNTER, "hits_total", "") == counter);
  CHECK(metrics.get(stage.server(), SONICORN_METRIC_GAUGE, "hits_total", "") == nullptr);
  for (const char* name : {"", "Hits", "1st", "a-b", "sonicorn_requests", "__name"}) {
    CHECK(metrics.get(stage.server(), SONICORN_METRIC_COUNTER, name, "") == nullptr);
  }
  CHECK_THROWS_WITH_AS(stage.app.metric("misses"),
                       "app puppet has no metric misses; it has depth, hits_total, seconds",
                       testing::Misuse);
}

TEST_CASE("timers fire in order of their time, and only when time passes") {
  fired.clear();
  Stage stage;
  const auto& timer = stage.puppet().table<sonicorn_timer>();
  timer.start(stage.server(), 3000, 0, fire, text("late"));
  timer.start(stage.server(), 1000, 1000, fire, text("tick"));
  const auto never = timer.start(stage.server(), 1500, 0, fire, text("never"));
  timer.cancel(stage.server(), never);
  timer.cancel(stage.server(), 12345);
  CHECK(timer.start(stage.server(), 1, 0, nullptr, nullptr) == 0);
  stage.host.advance(999ms);
  CHECK(fired.empty());
  stage.host.advance(1ms);
  CHECK(fired == std::vector<std::string>{"tick"});
  stage.host.advance(2s);
  CHECK(fired == std::vector<std::string>{"tick", "tick", "late", "tick"});
  CHECK(stage.host.now() == 3s);
  CHECK(stage.app.call_order() == "start timer timer timer timer");
  CHECK(stage.app.calls().back().role == sonicorn::ThreadRole::lifecycle);
  stage.app.shutdown();
  stage.host.advance(10s);
  CHECK(fired.size() == 4);
}

TEST_CASE("a callback may cancel its own timer and start another") {
  static int count = 0;
  static std::uint64_t id = 0;
  count = 0;
  Stage stage;
  const auto tick = [](void*) {
    Puppet& puppet = *Puppet::here;
    const auto& timer = puppet.table<sonicorn_timer>();
    if (++count < 3) return;
    timer.cancel(puppet.server->c(), id);
    timer.start(
        puppet.server->c(), 5, 0, [](void*) { count += 100; }, nullptr);
  };
  id = stage.puppet().table<sonicorn_timer>().start(stage.server(), 10, 10, tick, nullptr);
  stage.host.advance(1s);
  CHECK(count == 103);
}

TEST_CASE("a timer of no time that starts itself without an end is named") {
  static void (*again)(void*) = nullptr;
  again = [](void*) {
    Puppet& puppet = *Puppet::here;
    puppet.table<sonicorn_timer>().start(puppet.server->c(), 0, 0, again, nullptr);
  };
  Stage stage;
  again(nullptr);
  CHECK_THROWS_WITH_AS(stage.host.advance(1ms), "app puppet starts timers of 0 ms again and again",
                       testing::BrokenRule);
}

TEST_CASE("messages reach the subscribers of their topic") {
  Stage stage;
  const auto& bus = stage.puppet().table<sonicorn_bus>();
  CHECK(bus.subscribe(stage.server(), "greeting") == SONICORN_OK);
  stage.host.publish("greeting", R"({"text":"hi"})");
  stage.host.publish("other", "1");
  CHECK(stage.puppet().events == std::vector<std::string>{R"(greeting {"text":"hi"})"});
  CHECK(stage.app.calls().back().scope == sonicorn::Scope::bus);
  CHECK(bus.unsubscribe(stage.server(), "greeting") == SONICORN_OK);
  stage.host.publish("greeting", "2");
  CHECK(stage.puppet().events.size() == 1);
  CHECK(bus.subscribe(stage.server(), "") == SONICORN_ERROR);
  CHECK(bus.publish(stage.server(), "greeting", "no", 2) == SONICORN_ERROR);
  CHECK_THROWS_AS(stage.host.publish("greeting", "no JSON"), testing::Misuse);
}

TEST_CASE("a message from a handler is delivered after it, and a full queue declines") {
  static std::vector<std::int32_t> results;
  results.clear();
  Stage stage({.bus_queue = 2});
  stage.puppet().table<sonicorn_bus>().subscribe(stage.server(), "t");
  stage.puppet().during_request = [](Server& server) {
    for (int i = 0; i < 3; ++i) {
      results.push_back(server.capability<sonicorn_bus>()->publish(server.c(), "t", "1", 1));
    }
    CHECK(Puppet::here->events.empty());
  };
  stage.app.get("/");
  CHECK(results == std::vector<std::int32_t>{SONICORN_OK, SONICORN_OK, SONICORN_DECLINED});
  CHECK(stage.app.call_order() == "start ready on_request on_event on_event");
}

TEST_CASE("two apps talk over the bus") {
  struct Sender {
    explicit Sender(Server& from) : server(from) {}
    Response on_request(const sonicorn::Request& request) {
      const std::string json = "\"" + std::string(request.path()) + "\"";
      server.capability<sonicorn_bus>()->publish(server.c(), "path", json.data(), json.size());
      return Response(202);
    }
    void shutdown() {}
    Server& server;
  };
  Stage stage;
  stage.puppet().table<sonicorn_bus>().subscribe(stage.server(), "path");
  auto sender = stage.host.link<Sender>({.mount = "/send", .name = "sender"});
  sender.start();
  stage.host.forget_calls();
  CHECK(sender.get("/x").status == 202);
  CHECK(stage.host.call_order() == "sender.on_request puppet.on_event");
  CHECK(stage.puppet().events == std::vector<std::string>{"path \"/x\""});
}

TEST_CASE("messages that lead to messages without an end are named") {
  Stage stage;
  stage.puppet().table<sonicorn_bus>().subscribe(stage.server(), "t");
  stage.puppet().during_event = [](Server& server) {
    Puppet::here->events.clear();
    server.capability<sonicorn_bus>()->publish(server.c(), "t", "1", 1);
  };
  CHECK_THROWS_AS(stage.host.publish("t", "1"), testing::BrokenRule);
}

TEST_CASE("what an app asks of the server is written down") {
  Stage stage({.control_allowed = 1u << SONICORN_CONTROL_STOP});
  const auto& control = stage.puppet().table<sonicorn_control>();
  CHECK(control.ask(stage.server(), SONICORN_CONTROL_STOP, "bye", 3) == SONICORN_OK);
  CHECK(control.ask(stage.server(), SONICORN_CONTROL_RELOAD, nullptr, 0) == SONICORN_DECLINED);
  CHECK(control.ask(stage.server(), 77, nullptr, 0) == SONICORN_ERROR);
  REQUIRE(stage.host.control_requests().size() == 1);
  CHECK(stage.host.control_requests()[0].app == "puppet");
  CHECK(stage.host.control_requests()[0].action == SONICORN_CONTROL_STOP);
  CHECK(stage.host.control_requests()[0].message == "bye");
}

TEST_CASE("each thread has the role of what runs on it") {
  static std::vector<std::uint32_t> roles;
  static const auto note = [](Server& server) {
    roles.push_back(server.capability<sonicorn_thread_check>()->role(server.c()));
  };
  roles.clear();
  Stage stage;
  note(*stage.puppet().server);
  stage.puppet().during_request = [](Server& server) { note(server); };
  stage.puppet().during_ready = [](Server& server) {
    note(server);
    const auto body = [](sonicorn_stop_token*, void* argument) {
      note(*static_cast<Server*>(argument));
    };
    server.capability<sonicorn_background>()->start(server.c(), "worker", body, &server);
  };
  stage.app.ready();
  stage.host.settle();
  stage.app.get("/");
  CHECK(roles == std::vector<std::uint32_t>{0, SONICORN_THREAD_LIFECYCLE,
                                            SONICORN_THREAD_BACKGROUND, SONICORN_THREAD_POOL});
}

namespace {

// A background thread that counts each second, and publishes the count.
struct Counting {
  explicit Counting(Server& from) : server(from) {
    background = server.capability<sonicorn_background>();
    const auto body = [](sonicorn_stop_token* stop, void* argument) {
      Counting& self = *static_cast<Counting*>(argument);
      while (self.background->wait(stop, 1000) == 0) {
        const std::string json = std::to_string(++self.count);
        self.server.capability<sonicorn_bus>()->publish(self.server.c(), "count", json.data(),
                                                        json.size());
      }
      self.ended = self.background->stop_requested(stop) == 1;
    };
    if (background->start(server.c(), "counter", body, this) != SONICORN_OK) throw 1;
  }
  Response on_request() { return Response::text(std::to_string(count)); }
  void shutdown() { server.log(sonicorn::Level::info, ended ? "ended" : "runs still"); }

  Server& server;
  const sonicorn_background* background = nullptr;
  std::atomic<int> count = 0;
  std::atomic<bool> ended = false;
};

}  // namespace

TEST_CASE("a background thread lives in the host's time, and ends before shutdown") {
  testing::Host host;
  auto listener = host.link<Puppet>({.name = "listener"});
  listener.start();
  Puppet::here->table<sonicorn_bus>().subscribe(Puppet::here->server->c(), "count");
  auto app = host.link<Counting>({.mount = "/count", .name = "counting"});
  app.start();
  host.advance(3500ms);
  CHECK(app.get("/").body == "3");
  CHECK(Puppet::here->events == std::vector<std::string>{"count 1", "count 2", "count 3"});
  host.advance(500ms);
  CHECK(app.get("/").body == "4");
  app.shutdown();
  CHECK(app.logged("ended"));
}

TEST_CASE("a background thread is started on the lifecycle thread only") {
  Stage stage;
  stage.puppet().during_request = [](Server& server) {
    const auto body = [](sonicorn_stop_token*, void*) {};
    CHECK(server.capability<sonicorn_background>()->start(server.c(), "late", body, nullptr) ==
          SONICORN_ERROR);
  };
  CHECK_THROWS_WITH_AS(stage.app.get("/"),
                       "app puppet called background/1 start on a pool thread; it may be called "
                       "on its lifecycle thread only",
                       testing::BrokenRule);
}

TEST_CASE("an exception that leaves the app's code is named, on whichever thread") {
  Stage stage;
  const auto& timer = stage.puppet().table<sonicorn_timer>();
  timer.start(
      stage.server(), 1, 0, [](void*) { throw std::runtime_error("oops"); }, nullptr);
  CHECK_THROWS_WITH_AS(stage.host.advance(1ms),
                       "app puppet let an exception out of timer (oops); none may cross the ABI",
                       testing::BrokenRule);
  stage.puppet().during_ready = [](Server& server) {
    const auto body = [](sonicorn_stop_token*, void*) { throw 1; };
    server.capability<sonicorn_background>()->start(server.c(), "thrower", body, nullptr);
  };
  const auto start_and_settle = [&stage] {
    stage.app.ready();
    stage.host.settle();
  };
  CHECK_THROWS_WITH_AS(start_and_settle(),
                       "app puppet let an exception out of its background thread \"thrower\"; "
                       "none may cross the ABI",
                       testing::BrokenRule);
}

namespace {

std::atomic<bool> may_end = false;
std::atomic<bool> has_ended = false;

// Its thread hears nothing until the test lets it go.
struct Deaf {
  explicit Deaf(Server& server) {
    const auto body = [](sonicorn_stop_token*, void*) {
      while (!may_end) std::this_thread::yield();
      has_ended = true;
    };
    server.capability<sonicorn_background>()->start(server.c(), "deaf", body, nullptr);
  }
  void shutdown() {}
};

}  // namespace

TEST_CASE("a background thread that does not end is named, and shutdown is not called") {
  may_end = has_ended = false;
  {
    testing::Host host({.patience = 20ms});
    auto app = host.link<Deaf>({.name = "deaf-app"});
    app.start();
    host.advance(1s);
    CHECK(host.logged("the background thread \"deaf\" does not wait through background/1"));
    CHECK_THROWS_WITH_AS(app.shutdown(),
                         "app deaf-app: the background thread \"deaf\" did not end within 20 ms "
                         "after it was told to stop; shutdown was not called",
                         testing::BrokenRule);
    CHECK(app.call_order() == "start");
  }
  may_end = true;
  while (!has_ended) std::this_thread::yield();
}
