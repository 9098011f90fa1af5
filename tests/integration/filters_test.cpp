#include <algorithm>

#include "support/contract.hpp"
#include "support/support.hpp"

// pre_request in load order, post_request in reverse: exactly once for each pre_request that
// returned OK, also on error or disconnect.

using namespace support;
using std::string;

namespace {

constexpr int kSent = 1;
constexpr int kDisconnected = 2;
constexpr int kTimedOut = 3;
constexpr int kFailed = 4;

string apps(const Contract& contract, const string& root = patient_times()) {
  return root + contract.app("/", "contract_filter", "outer") +
         contract.app("/site", "contract_filter", "inner") +
         contract.app("/site/app", "contract_all", "app") +
         contract.app("/few", "contract_few", "few");
}

// "APP CALL" for each request call, in order.
std::vector<string> way(const Contract& contract, const string& id) {
  std::vector<string> calls;
  for (const Json& line : contract.journal()) {
    if (line["phase"] != "begin" || !line.contains("id") || line["id"] != id) continue;
    calls.push_back(line["app"].get<string>() + " " + line["call"].get<string>());
  }
  return calls;
}

void wait_for_posts(const Contract& contract, const string& app, std::size_t count) {
  contract.wait_for(app, "post_request", "end", count);
}

}  // namespace

TEST_SUITE("filters") {
  TEST_CASE("pre_request comes in load order, post_request in reverse, around the handler") {
    const Contract contract;
    Server server({.toml = apps(contract)});
    const Response response = ask(server.tcp(), get("/site/app/x?id=1"));
    CHECK(response.body == "app\n");
    wait_for_posts(contract, "outer", 1);
    CHECK(way(contract, "1") == std::vector<string>{"outer pre_request", "inner pre_request",
                                                    "app pre_request", "app on_request",
                                                    "app post_request", "inner post_request",
                                                    "outer post_request"});
    for (const Json& line : contract.journal()) {
      if (line["call"] != "post_request" || line["phase"] != "end") continue;
      CHECK(line["outcome"] == kSent);
      CHECK(line["status"] == 200);
    }
  }

  TEST_CASE("a filter sees the requests under its mount alone, by whole segments") {
    const Contract contract;
    Server server({.toml = apps(contract)});
    CHECK(ask(server.tcp(), get("/sites?id=1")).status == 404);
    CHECK(ask(server.tcp(), get("/site?id=2")).status == 404);
    CHECK(ask(server.tcp(), get("/few?id=3")).body == "few\n");
    wait_for_posts(contract, "outer", 3);
    CHECK(way(contract, "1") == std::vector<string>{"outer pre_request", "outer post_request"});
    CHECK(way(contract, "2") == std::vector<string>{"outer pre_request", "inner pre_request",
                                                    "inner post_request", "outer post_request"});
    CHECK(way(contract, "3") == std::vector<string>{"outer pre_request", "few pre_request",
                                                    "few on_request", "outer post_request"});
    CHECK(contract.calls("inner", "pre_request")[0]["path"] == "/");
    CHECK(contract.calls("outer", "post_request")[0]["status"] == 404);
  }

  TEST_CASE("the fields of a filter are set on the final answer, those of the last one prevail") {
    const Contract contract;
    Server server({.toml = apps(contract)});
    CHECK(ask(server.tcp(), get("/site/app")).field("X-Passed") == "app");
    CHECK(ask(server.tcp(), get("/site")).field("X-Passed") == "inner");
    CHECK(ask(server.tcp(), get("/nothing")).field("X-Passed") == "outer");
  }

  TEST_CASE("a filter may answer itself: handler and later filters are skipped, its post as well") {
    const Contract contract;
    Server server({.toml = apps(contract)});
    contract.steer("inner", "pre_request=decline");
    const Response response = ask(server.tcp(), get("/site/app?id=1"));
    CHECK(response.status == 200);
    CHECK(response.body == "filtered\n");
    wait_for_posts(contract, "outer", 1);
    CHECK(server.stop().status == 0);
    CHECK(way(contract, "1") ==
          std::vector<string>{"outer pre_request", "inner pre_request", "outer post_request"});
  }

  TEST_CASE("post_request comes also when a later filter or the handler fails") {
    const Contract contract;
    Server server({.toml = apps(contract)});
    contract.steer("app", "pre_request=throw");
    CHECK(ask(server.tcp(), get("/site/app?id=1")).status == 500);
    contract.steer("app", "on_request=throw");
    CHECK(ask(server.tcp(), get("/site/app?id=2")).status == 500);
    wait_for_posts(contract, "outer", 2);
    CHECK(way(contract, "1") == std::vector<string>{"outer pre_request", "inner pre_request",
                                                    "app pre_request", "inner post_request",
                                                    "outer post_request"});
    CHECK(way(contract, "2") == std::vector<string>{"outer pre_request", "inner pre_request",
                                                    "app pre_request", "app on_request",
                                                    "app post_request", "inner post_request",
                                                    "outer post_request"});
    for (const Json& post : contract.calls("outer", "post_request")) {
      CHECK(post["outcome"] == kFailed);
      CHECK(post["status"] == 500);
    }
  }

  TEST_CASE("post_request comes once when the client goes away, after on_disconnect") {
    const Contract contract;
    Server server({.toml = apps(contract)});
    contract.steer("app", "on_request=hang");
    Client client(server.tcp());
    client.send(get("/site/app?id=1"));
    contract.wait_for("app", "on_request", "begin");
    client.reset();
    wait_for_posts(contract, "outer", 1);
    contract.gate().put();
    contract.wait_for("app", "on_request");
    CHECK(server.stop().status == 0);
    const auto calls = way(contract, "1");
    for (const char* const app : {"outer", "inner", "app"}) {
      CAPTURE(app);
      CHECK(std::count(calls.begin(), calls.end(), string(app) + " post_request") == 1);
      CHECK(std::count(calls.begin(), calls.end(), string(app) + " on_disconnect") == 1);
      CHECK(contract.calls(app, "post_request")[0]["outcome"] == kDisconnected);
      CHECK(contract.calls(app, "post_request")[0]["status"] == 0);
    }
    CHECK(std::find(calls.begin(), calls.end(), "app on_disconnect") <
          std::find(calls.begin(), calls.end(), "app post_request"));
    CHECK(fault_of_order(contract.journal("app"), all_attributes()) == "");
  }

  TEST_CASE("on_disconnect does not come when the client got its answer") {
    const Contract contract;
    Server server({.toml = apps(contract)});
    for (int i = 0; i < 3; ++i) CHECK(ask(server.tcp(), get("/site/app")).status == 200);
    wait_for_posts(contract, "outer", 3);
    CHECK(server.stop().status == 0);
    CHECK(contract.calls("app", "on_disconnect").empty());
  }

  TEST_CASE("post_request comes once when the handler outlives the request time") {
    const Contract contract;
    Server server({.toml = apps(contract, "[limits]\nrequest_time = 2\n")});
    contract.steer("app", "on_request=hang");
    Client client(server.tcp());
    client.send(get("/site/app?id=1"));
    CHECK(client.read_response().status == 503);
    wait_for_posts(contract, "outer", 1);
    CHECK(contract.calls("outer", "post_request")[0]["outcome"] == kTimedOut);
    CHECK(contract.calls("outer", "post_request")[0]["status"] == 503);
    contract.gate().put();
    contract.wait_for("app", "on_request");
    CHECK(server.stop().status == 0);
    for (const char* const app : {"outer", "inner", "app"}) {
      CHECK(contract.calls(app, "post_request").size() == 1);
    }
  }

  TEST_CASE("a filter that outlives the request time lets no handler be called after it") {
    const Contract contract;
    Server server({.toml = apps(contract, "[limits]\nrequest_time = 2\n")});
    contract.steer("app", "pre_request=hang");
    Client client(server.tcp());
    client.send(get("/site/app?id=1"));
    CHECK(client.read_response().status == 503);
    contract.gate().put();
    contract.wait_for("app", "pre_request");
    wait_for_posts(contract, "app", 1);
    CHECK(server.stop().status == 0);
    CHECK(contract.calls("app", "on_request").empty());
    for (const char* const app : {"outer", "inner", "app"}) {
      CHECK(contract.calls(app, "post_request").size() == 1);
    }
    // Also of the one that returned too late to be counted among those that had passed.
    CHECK(contract.calls("app", "post_request")[0]["outcome"] == kTimedOut);
    CHECK(contract.calls("app", "post_request")[0]["status"] == 503);
    CHECK(fault_of_order(contract.journal("app"), all_attributes()) == "");
  }

  TEST_CASE("a request that is in flight when the server stops keeps its way back") {
    const Contract contract;
    Server server({.toml = apps(contract)});
    contract.steer("app", "on_request=hang");
    Client client(server.tcp());
    client.send(get("/site/app?id=1"));
    contract.wait_for("app", "on_request", "begin");
    server.process().send_signal(SIGTERM);
    REQUIRE(server.refuses_connections());
    contract.gate().put();
    CHECK(client.read_response().body == "app\n");
    CHECK(server.ending().status == 0);
    const auto calls = way(contract, "1");
    REQUIRE(calls.size() == 7);
    CHECK(calls.back() == "outer post_request");
  }

  TEST_CASE("a filter that blocks where no app answers is given up and is no end of the server") {
    const Contract contract;
    Server server({.toml = "[limits]\nrequest_time = 2\n" +
                           contract.app("/", "contract_filter_pool", "filter")});
    contract.steer("filter", "pre_request=hang");
    CHECK(ask(server.tcp(), get("/nothing")).status == 503);
    contract.gate().put();
    wait_for_posts(contract, "filter", 1);
    CHECK(contract.calls("filter", "post_request")[0]["outcome"] == kTimedOut);
    contract.steer("filter", "");
    CHECK(ask(server.tcp(), get("/nothing")).status == 404);
    CHECK(server.stop().status == 0);
  }

  TEST_CASE("a filter that accepts no thread fails its requests and is no end of the server") {
    const Contract contract;
    Server server({.toml = "blocking_threads = 1\n" + patient_times() +
                           contract.app("/", "contract_filter_pool", "filter")});
    contract.steer("filter", "thread_start=decline");
    CHECK(ask(server.tcp(), get("/nothing")).status >= 500);
    CHECK(ask(server.tcp(), get("/nothing")).status >= 500);
    CHECK(contract.calls("filter", "pre_request").empty());
    CHECK(server.stop().status == 0);
  }

  TEST_CASE("who is told of the end of a request that came in pieces gets that request") {
    const Contract contract;
    Server server({.toml = patient_times() + contract.app("/", "contract_filter", "outer") +
                           contract.app("/inline", "contract_inline", "inline")});
    contract.steer("inline", "on_request=hang");
    {
      Client client(server.tcp());
      const string request =
          "POST /inline/x?id=1 HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n" +
          string(20'000, 'b');
      client.send(request.substr(0, 10'000));
      client.send(request.substr(10'000));
      contract.wait_for("inline", "on_request", "begin");
      client.reset();
    }
    contract.gate().put();
    wait_for_posts(contract, "outer", 1);
    CHECK(contract.calls("outer", "post_request")[0]["path"] == "/inline/x");
    CHECK(contract.calls("inline", "on_disconnect").size() <= 1);
    CHECK(server.stop().status == 0);
  }
}
