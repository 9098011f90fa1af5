#include <algorithm>

#include "support/contract.hpp"
#include "support/support.hpp"

// What the server delivers, what it says of it, and that it keeps it.

using namespace support;
using std::string;

namespace {

constexpr int kAdminStop = 5;

string one_app(const Contract& contract, const string& root = {}, const string& settings = {},
               const string& fixture = "contract_all") {
  return root + patient_times() + contract.app("/", fixture, "app", settings);
}

// What the service `use` ("capability", "publish&topic=t") answers to this text.
string use(const Server& server, const string& what, const string& text = {},
           const string& mount = "/") {
  return ask(server.tcp(), post(mount + "?do=" + what, text)).body;
}

Json shutdown_promise(const Server& server) {
  return Json::parse(use(server, "promise&of=shutdown"));
}

std::vector<string> topics_and_messages(const Contract& contract, const string& app) {
  std::vector<string> all;
  for (const Json& line : contract.calls(app, "on_event")) {
    if (line["scope"] != 5) continue;
    all.push_back(line["event"].get<string>() + " " + line["message"].get<string>());
  }
  return all;
}

}  // namespace

TEST_SUITE("capabilities") {
  TEST_CASE("a capability is a table or NULL, and what is not delivered is NULL") {
    const Contract contract;
    Server server({.toml = one_app(contract)});
    for (const char* const id :
         {"shutdown/1", "drain/1", "reload/1", "request_events/1", "events/1", "log/1", "metrics/1",
          "timer/1", "background/1", "bus/1", "control/1", "thread_check/1"}) {
      CHECK_MESSAGE(use(server, "capability", id) == "table", id);
    }
    for (const char* const id :
         {"streaming/1", "deferred/1", "websocket/1", "log/2", "com.example.log/1", "nonsense/1"}) {
      CHECK_MESSAGE(use(server, "capability", id) == "NULL", id);
    }
  }

  TEST_CASE("a malformed capability id is NULL, and a debug build says so") {
    const Contract contract;
    Server server({.toml = one_app(contract, "log_level = \"debug\"\n")});
    for (const string& id :
         {string(), string("log"), string("log/"), string("/1"), string("log/x"), string("log/01"),
          string("log/1/1"), string("log /1"), string("log/-1"), string("/"), string("log/1\n"),
          string(100'000, 'x'), string("log/99999999999999999999"), string(".log/1"),
          string("l\xC3\xB6g/1")}) {
      CHECK(use(server, "capability", id) == "NULL");
    }
    CHECK(logs(server, {"app app", "capability \"log/01\"", "NAME/REV"}));
    CHECK(logs(server, {"app app", "capability \"\"", "NAME/REV"}));
    CHECK(!has_logged(server.log(), {"capability \"log/2\""}));
  }

  TEST_CASE("what the operator withholds is NULL, whatever way he says it") {
    const Contract contract;
    Server server({.toml = one_app(contract, "without = [\"bus\", \"timer/1\"]\n"),
                   .arguments = {"--without", "metrics", "--without", "log/1"}});
    for (const char* const id : {"bus/1", "timer/1", "metrics/1", "log/1"}) {
      CHECK_MESSAGE(use(server, "capability", id) == "NULL", id);
    }
    CHECK(use(server, "capability", "control/1") == "table");
    // The bus brings no events then.
    CHECK(use(server, "promise&of=events") == std::to_string(1 << 1));
    CHECK(logs(server, {"app app", "timer/1", "the operator withholds"}));
  }

  TEST_CASE("an app that requires what is withheld is refused by name before its code runs") {
    for (const std::vector<string>& arguments :
         {std::vector<string>{}, std::vector<string>{"--without", "timer"}}) {
      std::vector<string> command{"serve", "--bind", "127.0.0.1:0"};
      command.insert(command.end(), arguments.begin(), arguments.end());
      if (arguments.empty()) {
        Server server({.files = {mounted("/", "contract_requires")}});
        CHECK(ask(server.tcp(), get("/")).body == "with a timer\n");
        continue;
      }
      command.push_back(fixture("contract_requires"));
      const Outcome outcome = run_sonicorn(command);
      CHECK(outcome.ending.status == 1);
      CHECK(has_logged(outcome.errors, {"contract_requires", "refused", "timer/1"}));
    }
    // What it merely uses may be missing.
    Server server(
        {.files = {mounted("/", "contract_requires")}, .arguments = {"--without", "bus"}});
    CHECK(ask(server.tcp(), get("/")).body == "with a timer\n");
    CHECK(logs(server, {"contract-requires", "bus/1", "goes on without"}));
  }

  TEST_CASE("a capability that does not exist cannot be withheld") {
    const Outcome outcome = run_sonicorn(
        {"serve", "--bind", "127.0.0.1:0", "--without", "timers", fixture("contract_requires")});
    CHECK(outcome.ending.status == 2);
    CHECK(outcome.errors.find("timer") != string::npos);
  }

  TEST_CASE("the promise shutdown/1 tells signals, grace, and when it cannot be kept") {
    const Contract contract;
    Server server({.toml = one_app(contract, {}, {}), .arguments = {"--grace", "7.5"}});
    const Json promise = shutdown_promise(server);
    CHECK(promise["grace_ms"] == 7'500);
    CHECK(promise["least_ms"] == 1'000);
    CHECK(promise["signals"] == (1u << SIGTERM | 1u << SIGINT | 1u << SIGQUIT));
    for (const unsigned reason : {1u, 2u, 3u, 5u}) {
      CHECK((promise["reasons"].get<unsigned>() & 1u << reason) != 0);
    }
    CHECK(promise["not_on"].get<unsigned>() == 0b11111);
    CHECK(use(server, "promise&of=drain") == "7500");
    CHECK(use(server, "promise&of=reload") == std::to_string(1 << 1 | 1 << 2 | 1 << 3));
    CHECK(use(server, "promise&of=events") == std::to_string(1 << 1 | 1 << 5));
    CHECK(use(server, "promise&of=request_events") == "7");
    CHECK(use(server, "promise&of=control") == std::to_string(1 << 1 | 1 << 2 | 1 << 3));
  }

  TEST_CASE("every promised signal leads to drain and shutdown, with the reason and the signal") {
    const std::pair<int, int> stops[] = {{SIGTERM, 1}, {SIGINT, 2}, {SIGQUIT, 3}};
    for (const auto& [signal, reason] : stops) {
      CAPTURE(reason);
      const Contract contract;
      Server server({.toml = one_app(contract)});
      CHECK((shutdown_promise(server)["signals"].get<unsigned>() >> signal & 1) == 1);
      CHECK(server.stop(signal).status == 0);
      for (const char* const call : {"drain", "shutdown"}) {
        const auto calls = contract.calls("app", call);
        REQUIRE(calls.size() == 1);
        CHECK(calls[0]["reason"] == reason);
        CHECK(calls[0]["signal"] == signal);
        CHECK(calls[0]["deadline_ms"] > 0);
        CHECK(calls[0]["deadline_ms"] <= 60'000);
      }
    }
  }

  TEST_CASE("where shutdown cannot be kept it is not called: a handler that outlives the grace") {
    const Contract contract;
    contract.steer("app", "on_request=hang");
    Server server({.toml = "grace = 0.5\n" + contract.app("/", "contract_all", "app") +
                           contract.app("/other", "contract_all", "other")});
    server.expect_failure();
    Client client(server.tcp());
    client.send(get("/"));
    contract.wait_for("app", "on_request", "begin");
    CHECK(server.stop().status == 1);
    CHECK(contract.calls("app", "shutdown").empty());
    CHECK(has_logged(server.log(), {"app app", "shutdown is not called"}));
    CHECK(contract.calls("other", "shutdown", "end").size() == 1);
  }

  TEST_CASE("a background thread that does not end is named, and its app not shut down") {
    const Contract contract;
    Server server({.toml = "grace = 0.5\n" +
                           contract.app("/", "contract_all", "app", "background = \"stuck\"") +
                           contract.app("/other", "contract_all", "other")});
    server.expect_failure();
    CHECK(server.stop().status == 1);
    CHECK(has_logged(server.log(), {"app app", "background thread sweeper", "did not end"}));
    CHECK(contract.calls("app", "shutdown").empty());
    CHECK(contract.calls("other", "shutdown", "end").size() == 1);
  }

  TEST_CASE("a background thread is stopped and joined before shutdown") {
    const Contract contract;
    Server server({.toml = one_app(contract, {}, "background = \"obedient\"")});
    const Json begin = contract.wait_for("app", "background_begin", "note");
    CHECK(begin["thread_check"] == 4);
    CHECK(server.stop().status == 0);
    std::vector<string> order;
    for (const Json& line : contract.journal("app")) {
      if (line["phase"] != "end" && line["call"] != "health") order.push_back(line["call"]);
    }
    const auto at = [&](const char* call) { return std::find(order.begin(), order.end(), call); };
    CHECK(at("background_end") != order.end());
    CHECK(at("background_end") < at("shutdown"));
    CHECK(at("drain") < at("background_end"));
  }

  TEST_CASE("a server function that is called from a wrong thread ends a debug build") {
    const Contract contract;
    Server server({.toml = one_app(contract)});
    Client client(server.tcp());
    if (has_assertions()) {
      server.expect_failure();
      client.send(post("/?do=background", ""));
      CHECK(logs(server, {"app app", "SIGABRT"}));
    } else {
      CHECK(client.ask(post("/?do=background", "")).body == "-1");
    }
    CHECK(logs(server, {"background/1 start", "a pool thread", "its lifecycle thread only"}));
  }

  TEST_CASE("thread_check tells the role of each thread of the app") {
    const Contract contract;
    Server server({.toml = patient_times() +
                           contract.app("/pool", "contract_all", "pool", "background = \"yes\"") +
                           contract.app("/io", "contract_inline", "io")});
    CHECK(use(server, "role", {}, "/pool") == "3");
    CHECK(use(server, "role", {}, "/io") == "2");
    CHECK(use(server, "timer&delay=0", {}, "/io") != "0");
    CHECK(contract.wait_for("io", "timer", "note")["thread_check"] == 1);
    CHECK(contract.wait_for("pool", "background_begin", "note")["thread_check"] == 4);
  }

  TEST_CASE("a timer comes once or again and again on the lifecycle thread, until cancelled") {
    const Contract contract;
    Server server({.toml = one_app(contract)});
    const Json start = contract.wait_for("app", "start");
    CHECK(use(server, "timer&delay=1") != "0");
    CHECK(contract.wait_for("app", "timer", "note")["thread"] == start["thread"]);
    const string periodic = use(server, "timer&delay=1&period=1");
    contract.wait_for("app", "timer", "note", 6);
    use(server, "cancel&timer=" + periodic);
    use(server, "cancel&timer=" + periodic);
    use(server, "cancel&timer=4711");
    // Those that were on their way have come when what was asked for later has.
    use(server, "timer&delay=0");
    server.process().send_signal(SIGHUP);
    contract.wait_until("app", [](const Json& line) { return line["event"] == "reloaded"; });
    const std::size_t before = contract.calls("app", "timer", "note").size();
    server.process().send_signal(SIGHUP);
    contract.wait_for("app", "on_event", "end", 3);
    CHECK(contract.calls("app", "timer", "note").size() == before);
    // Far away, and ended by the stop.
    CHECK(use(server, "timer&delay=18446744073709551615") != "0");
    CHECK(use(server, "timer&delay=1000000&period=1") != "0");
    CHECK(server.stop().status == 0);
    CHECK(contract.journal("app").back()["call"] == "shutdown");
  }

  TEST_CASE("messages of the bus reach each subscriber in order, and nobody else") {
    const Contract contract;
    Server server({.toml = patient_times() + contract.app("/from", "contract_inline", "from") +
                           contract.app("/to", "contract_all", "to") +
                           contract.app("/other", "contract_all", "other")});
    CHECK(use(server, "subscribe&topic=news", {}, "/to") == "0");
    CHECK(use(server, "subscribe&topic=gossip", {}, "/other") == "0");
    for (int i = 1; i <= 20; ++i) {
      CHECK(use(server, "publish&topic=news", "{\"n\": " + std::to_string(i) + "}", "/from") ==
            "0");
    }
    CHECK(use(server, "publish&topic=nobody", "1", "/from") == "0");
    const Json last = contract.wait_until("to", [](const Json& line) {
      return line["phase"] == "end" && line["message"] == "{\"n\": 20}";
    });
    CHECK(last["scope"] == 5);
    CHECK(last["role"] == 1);
    const auto got = topics_and_messages(contract, "to");
    REQUIRE(got.size() == 20);
    for (int i = 1; i <= 20; ++i) {
      CHECK(got[static_cast<std::size_t>(i) - 1] == "news {\"n\": " + std::to_string(i) + "}");
    }
    // What is malformed reaches nobody, and the publisher is told.
    CHECK(use(server, "publish&topic=news", "{\"n\": ", "/from") == "-1");
    CHECK(use(server, "publish&topic=", "1", "/from") == "-1");
    CHECK(use(server, "publish&topic=news", "", "/from") == "-1");
    CHECK(use(server, "unsubscribe&topic=news", {}, "/to") == "0");
    CHECK(use(server, "publish&topic=news", "21", "/from") == "0");
    CHECK(server.stop().status == 0);
    CHECK(topics_and_messages(contract, "to").size() == 20);
    CHECK(topics_and_messages(contract, "other").empty());
    CHECK(fault_of_order(contract.journal("to"), all_attributes()) == "");
  }

  TEST_CASE("a full queue of the bus tells the publisher, and what was taken comes in order") {
    const Contract contract;
    contract.steer("to", "on_event=hang");
    Server server({.toml = "[limits]\nbus_queue = 4\nrequest_time = 120\n[lifecycle]\n"
                           "call_time = 120\n" +
                           contract.app("/from", "contract_inline", "from") +
                           contract.app("/to", "contract_all", "to")});
    // The subscriber hangs in its event "ready", so that nothing is taken from its queue.
    contract.wait_for("to", "on_event", "begin");
    CHECK(use(server, "subscribe&topic=t", {}, "/to") == "0");
    for (int i = 1; i <= 4; ++i) {
      CHECK(use(server, "publish&topic=t", std::to_string(i), "/from") == "0");
    }
    CHECK(use(server, "publish&topic=t", "5", "/from") == "1");
    contract.steer("to", "");
    contract.gate().put();
    contract.wait_until(
        "to", [](const Json& line) { return line["phase"] == "end" && line["message"] == "4"; });
    CHECK(use(server, "publish&topic=t", "6", "/from") == "0");
    contract.wait_until("to", [](const Json& line) { return line["message"] == "6"; });
    CHECK(topics_and_messages(contract, "to") ==
          std::vector<string>{"t 1", "t 2", "t 3", "t 4", "t 6"});
  }

  TEST_CASE("an app that asks the server to stop has its message reach drain and shutdown of all") {
    const Contract contract;
    Server server({.toml = patient_times() + contract.app("/", "contract_all", "app") +
                           contract.app("/other", "contract_inline", "other")});
    CHECK(use(server, "control&action=3", "out of \"licence\"") == "0");
    CHECK(server.ending().status == 0);
    for (const char* const app : {"app", "other"}) {
      for (const char* const call : {"drain", "shutdown"}) {
        const auto calls = contract.calls(app, call);
        REQUIRE(calls.size() == 1);
        CHECK(calls[0]["reason"] == kAdminStop);
        CHECK(calls[0]["signal"] == 0);
        CHECK(calls[0]["message"] == "out of \"licence\"");
      }
      CHECK(fault_of_order(contract.journal(app), all_attributes()) == "");
    }
    CHECK(has_logged(server.log(), {"app app", "stop", "licence"}));
  }

  TEST_CASE("an app that asks to be drained gets a 503 with Retry-After for its requests") {
    const Contract contract;
    const Endpoint admin{{}, {}, contract.folder() / "admin"};
    Server server({.toml = "admin = \"" + admin.path.string() + "\"\n" + patient_times() +
                           contract.app("/", "contract_all", "app") +
                           contract.app("/other", "contract_few", "other")});
    CHECK(use(server, "control&action=2", "enough") == "0");
    const Json drain = contract.wait_for("app", "drain");
    CHECK(drain["reason"] == kAdminStop);
    CHECK(drain["message"] == "enough");
    const Response refused = ask(server.tcp(), get("/"));
    CHECK(refused.status == 503);
    CHECK(refused.has("Retry-After"));
    const Response ready = ask(admin, get("/readyz"));
    CHECK(ready.status == 503);
    CHECK(ready.body.find("app app is drained") != string::npos);
    CHECK(server.stop().status == 0);
    CHECK(contract.calls("app", "drain").size() == 1);
    CHECK(contract.calls("app", "shutdown").size() == 1);
    CHECK(contract.calls("app", "shutdown")[0]["reason"] == 1);
  }

  TEST_CASE("an app that is drained takes no requests on the thread that served it before") {
    const Contract contract;
    Server server(
        {.toml = "threads = 1\n" + patient_times() + contract.app("/", "contract_inline", "app")});
    CHECK(ask(server.tcp(), get("/")).status == 200);
    CHECK(ask(server.tcp(), get("/again")).status == 200);
    CHECK(use(server, "control&action=2", "enough") == "0");
    contract.wait_for("app", "drain");
    CHECK(ask(server.tcp(), get("/")).status == 503);
    CHECK(server.stop().status == 0);
    CHECK(contract.calls("app", "pre_request").size() == 3);
    CHECK(contract.calls("app", "post_request").size() == 3);
  }

  TEST_CASE("an app that is drained takes no other app's requests with it") {
    const Contract contract;
    Server server({.toml = patient_times() + contract.app("/one", "contract_all", "one") +
                           contract.app("/two", "contract_all", "two")});
    CHECK(use(server, "control&action=2", "", "/one") == "0");
    contract.wait_for("one", "drain");
    CHECK(ask(server.tcp(), get("/one")).status == 503);
    CHECK(ask(server.tcp(), get("/two")).body == "two\n");
  }

  TEST_CASE("what control/1 does not allow is declined") {
    const Contract contract;
    Server server({.toml = one_app(contract)});
    for (const char* const action : {"0", "4", "31", "32", "4294967295"}) {
      CHECK(use(server, string("control&action=") + action) == "1");
    }
    CHECK(ask(server.tcp(), get("/")).status == 200);
  }

  TEST_CASE("log lines of an app have its name and level, and are one line") {
    const Contract contract;
    Server server({.toml = one_app(contract)});
    CHECK(use(server, "log&level=3", "two\nlines\x1b[31m") == "written");
    CHECK(use(server, "log&level=1", "too quiet") == "written");
    CHECK(use(server, "log&level=77", "of no level") == "written");
    CHECK(logs(server, {"warning", "app app: two\\nlines\\x1b[31m"}));
    CHECK(logs(server, {"app app: of no level"}));
    CHECK(!has_logged(server.log(), {"too quiet"}));
  }
}
