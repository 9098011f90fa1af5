#include "support/contract.hpp"
#include "support/support.hpp"

// An app that fails, throws or returns nonsense from any attribute: a line of the log with the app,
// the attribute and the generation; the policy of that attribute; other apps go on.

using namespace support;
using std::string;

namespace {

// How an attribute may fail, and what the log then says.
struct Failure {
  string how;
  string said;
};
const std::vector<Failure> kErrors = {{"fail", "steered to fail"},
                                      {"throw", "steered to throw"},
                                      {"throw_int", "no std::exception"},
                                      {"least", "-2147483648"}};
const std::vector<Failure> kRefusals = {{"decline", "(1"}, {"nonsense", "(12345"}};

std::vector<Failure> all_failures() {
  std::vector<Failure> all = kErrors;
  all.insert(all.end(), kRefusals.begin(), kRefusals.end());
  return all;
}

// One of each sort, where every way takes a server of its own.
std::vector<Failure> few_failures() { return {kErrors[0], kErrors[1], kRefusals[1]}; }

// Two apps: "bad" at /bad, which the test steers, and "good" at /good.
string two_apps(const Contract& contract, const string& root = {}) {
  return root + patient_times() + contract.app("/good", "contract_all", "good") +
         contract.app("/bad", "contract_all", "bad");
}

void check_good_app(const Server& server) {
  CHECK(ask(server.tcp(), get("/good")).body == "good\n");
}

void check_logged(const Server& server, const string& attribute, const string& said) {
  CHECK_MESSAGE(logs(server, {"app bad", attribute, said, "generation 1"}),
                attribute << " (" << said << "): " << server.log());
}

// A change of the settings of "bad".
void change_settings(const Server& server, const Contract& contract, int knob) {
  write_file(server.folder() / "sonicorn.toml",
             patient_times() + contract.app("/good", "contract_all", "good") +
                 contract.app("/bad", "contract_all", "bad", "knob = " + std::to_string(knob)));
}

std::size_t count_of(const Contract& contract, const string& app, const string& call) {
  return contract.calls(app, call).size();
}

}  // namespace

TEST_SUITE("attributes") {
  TEST_CASE("start may fail: the candidate is dropped and nothing else of it is called") {
    for (const Failure& failure : all_failures()) {
      CAPTURE(failure.how);
      const Contract contract;
      contract.steer("bad", "start=" + failure.how);
      Server server({.toml = two_apps(contract, "skip_broken = true\n")});
      check_logged(server, "start", failure.said);
      check_good_app(server);
      CHECK(ask(server.tcp(), get("/bad")).status == 404);
      CHECK(server.stop().status == 0);
      for (const Json& line : contract.journal("bad")) CHECK(line["call"] == "start");
      CHECK(count_of(contract, "bad", "start") == 1);
    }
  }

  TEST_CASE("an unhealthy candidate is dropped, and shut down once because it has started") {
    for (const Failure& failure : few_failures()) {
      CAPTURE(failure.how);
      const Contract contract;
      contract.steer("bad", "health=" + failure.how);
      Server server({.toml = two_apps(contract, "skip_broken = true\n")});
      check_logged(server, "health", failure.said);
      check_good_app(server);
      CHECK(ask(server.tcp(), get("/bad")).status == 404);
      CHECK(contract.wait_for("bad", "shutdown")["reason"] == 12);
      CHECK(server.stop().status == 0);
      CHECK(count_of(contract, "bad", "shutdown") == 1);
      CHECK(count_of(contract, "bad", "ready") == 0);
      CHECK(count_of(contract, "bad", "drain") == 0);
    }
  }

  TEST_CASE("where no app may be broken, those that started are shut down with that reason") {
    for (const char* const attribute : {"start", "health"}) {
      CAPTURE(attribute);
      const Contract contract;
      contract.steer("bad", string(attribute) + "=fail");
      write_file(contract.folder() / "toml", "load_time = 60\n" + two_apps(contract));
      const Outcome outcome = run_sonicorn(
          {"serve", "--bind", "127.0.0.1:0", "-c", (contract.folder() / "toml").string()});
      CHECK(outcome.ending.status == 1);
      CHECK(outcome.output.find("Listening") == string::npos);
      CHECK(has_logged(outcome.errors, {"app bad", attribute, "steered to fail"}));
      REQUIRE(count_of(contract, "good", "shutdown") == 1);
      CHECK(contract.calls("good", "shutdown")[0]["reason"] == 12);
      CHECK(count_of(contract, "good", "ready") == 0);
      CHECK(count_of(contract, "bad", "shutdown") == (string(attribute) == "start" ? 0 : 1));
    }
  }

  TEST_CASE("an app whose ready fails is served, and the server does not report itself ready") {
    for (const Failure& failure : few_failures()) {
      CAPTURE(failure.how);
      const Contract contract;
      contract.steer("bad", "ready=" + failure.how);
      const auto admin = contract.folder() / "admin";
      Server server({.toml = two_apps(contract, "admin = \"" + admin.string() + "\"\n")});
      check_logged(server, "ready", failure.said);
      check_good_app(server);
      CHECK(ask(server.tcp(), get("/bad")).body == "bad\n");
      const Response ready = ask({{}, {}, admin}, get("/readyz"));
      CHECK(ready.status == 503);
      CHECK(ready.body.find("bad") != string::npos);
    }
  }

  TEST_CASE("an unhealthy live app makes readiness fail until it is healthy again") {
    const Contract contract;
    const Endpoint admin{{}, {}, contract.folder() / "admin"};
    Server server({.toml = "admin = \"" + admin.path.string() + "\"\n" + patient_times() +
                           "health_interval = 0.02\n" +
                           contract.app("/good", "contract_all", "good") +
                           contract.app("/bad", "contract_all", "bad")});
    const auto is_ready = [](int status, const string&) { return status == 200; };
    for (const Failure& failure : all_failures()) {
      CAPTURE(failure.how);
      wait_for_answer(admin, get("/readyz"), is_ready);
      contract.steer("bad", "health=" + failure.how);
      check_logged(server, "health", failure.said);
      wait_for_answer(admin, get("/readyz"), [](int status, const string& body) {
        return status == 503 && body.find("app bad is unhealthy") != string::npos;
      });
      CHECK(ask(server.tcp(), get("/bad")).body == "bad\n");
      check_good_app(server);
      contract.steer("bad", "");
    }
    wait_for_answer(admin, get("/readyz"), is_ready);
    CHECK(logs(server, {"app bad", "healthy again"}));
  }

  TEST_CASE("a handler that fails is a 500 and one that declines a 404") {
    for (const char* const fixture : {"contract_all", "contract_inline"}) {
      const Contract contract;
      Server server({.toml = patient_times() + contract.app("/good", fixture, "good") +
                             contract.app("/bad", fixture, "bad")});
      for (const Failure& failure : kErrors) {
        contract.steer("bad", "on_request=" + failure.how);
        const Response response = ask(server.tcp(), get("/bad"));
        CHECK(response.status == 500);
        CHECK(response.body.find("steered") == string::npos);
        check_logged(server, "on_request", failure.said);
        check_good_app(server);
      }
      for (const Failure& failure : kRefusals) {
        contract.steer("bad", "on_request=" + failure.how);
        CHECK(ask(server.tcp(), get("/bad")).status == 404);
      }
      CHECK(server.stop().status == 0);
      CHECK(count_of(contract, "bad", "post_request") == count_of(contract, "bad", "pre_request"));
    }
  }

  TEST_CASE("a filter that fails is a 500 without handler and without its post_request") {
    const Contract contract;
    Server server({.toml = two_apps(contract)});
    for (const Failure& failure : kErrors) {
      contract.steer("bad", "pre_request=" + failure.how);
      CHECK(ask(server.tcp(), get("/bad")).status == 500);
      check_logged(server, "pre_request", failure.said);
      check_good_app(server);
    }
    CHECK(count_of(contract, "bad", "pre_request") == kErrors.size());
    CHECK(count_of(contract, "bad", "on_request") == 0);
    CHECK(server.stop().status == 0);
    CHECK(count_of(contract, "bad", "post_request") == 0);
  }

  TEST_CASE("what is called after a response fails without changing it") {
    const Contract contract;
    Server server({.toml = two_apps(contract)});
    for (const Failure& failure : all_failures()) {
      contract.steer("bad", "post_request=" + failure.how + "\n");
      CHECK(ask(server.tcp(), get("/bad")).body == "bad\n");
      check_logged(server, "post_request", failure.said);
    }
    for (const Failure& failure : all_failures()) {
      contract.steer("bad", "on_request=hang\non_disconnect=" + failure.how + "\n");
      Client client(server.tcp());
      const std::size_t before = count_of(contract, "bad", "on_request");
      client.send(get("/bad"));
      contract.wait_for("bad", "on_request", "begin", before + 1);
      client.reset();
      check_logged(server, "on_disconnect", failure.said);
      contract.gate().put();
      contract.wait_for("bad", "on_request", "end", before + 1);
      check_good_app(server);
    }
  }

  TEST_CASE("an event that an app fails to take is logged, and the next one comes") {
    const Contract contract;
    Server server({.toml = two_apps(contract)});
    contract.wait_for("bad", "on_event");
    std::size_t events = 1;
    std::vector<Failure> failures = kErrors;
    failures.push_back(kRefusals[1]);
    for (const Failure& failure : failures) {
      contract.steer("bad", "on_event=" + failure.how);
      server.process().send_signal(SIGHUP);
      contract.wait_for("bad", "on_event", "end", ++events);
      check_logged(server, "on_event", failure.said);
      check_good_app(server);
    }
  }

  TEST_CASE("a reload that fails or is declined leaves the app with its former settings") {
    const Contract contract;
    Server server({.toml = two_apps(contract)});
    int knob = 0;
    for (const Failure& failure : all_failures()) {
      contract.steer("bad", "reload=" + failure.how);
      change_settings(server, contract, ++knob);
      server.process().send_signal(SIGHUP);
      check_logged(server, "reload", failure.said);
      CHECK(logs(server, {"app bad", "reload", failure.said, "former settings"}));
      check_good_app(server);
    }
    // The same settings are new to it still.
    contract.steer("bad", "");
    server.process().send_signal(SIGHUP);
    CHECK(logs(server, {"app bad", "has taken its new settings"}));
    CHECK(count_of(contract, "good", "reload") == 0);
  }

  TEST_CASE("a description that is none is said to be missing, with the reason") {
    const Contract contract;
    const Endpoint admin{{}, {}, contract.folder() / "admin"};
    Server server({.toml = two_apps(contract, "admin = \"" + admin.path.string() + "\"\n")});
    std::vector<Failure> failures = all_failures();
    failures.push_back({"no_json", "no JSON object"});
    for (const Failure& failure : failures) {
      CAPTURE(failure.how);
      contract.steer("bad", "describe=" + failure.how);
      const Json apps = Json::parse(ask(admin, get("/apps")).body);
      REQUIRE(apps.size() == 2);
      CHECK(apps[0]["description"]["routes"][0] == "/");
      CHECK(!apps[1].contains("description"));
      CHECK(apps[1].contains("description_error"));
      check_logged(server, "describe", failure.said);
    }
  }

  TEST_CASE("a thread that thread_start refuses runs no handler of the app") {
    for (const char* const fixture : {"contract_all", "contract_inline"}) {
      for (const Failure& failure : few_failures()) {
        CAPTURE(failure.how);
        const Contract contract;
        contract.steer("bad", "thread_start=" + failure.how);
        Server server({.toml = "threads = 2\nblocking_threads = 2\n" + patient_times() +
                               contract.app("/good", fixture, "good") +
                               contract.app("/bad", fixture, "bad")});
        const int status = ask(server.tcp(), get("/bad")).status;
        CHECK((status == 500 || status == 503));
        check_logged(server, "thread_start", failure.said);
        check_good_app(server);
        CHECK(server.stop().status == 0);
        CHECK(count_of(contract, "bad", "pre_request") == 0);
        CHECK(count_of(contract, "bad", "on_request") == 0);
        // Only who has begun ends.
        CHECK(count_of(contract, "bad", "thread_exit") == 0);
        CHECK(count_of(contract, "bad", "shutdown") == 1);
      }
    }
  }

  TEST_CASE("failures on the way out are logged, and every app is shut down") {
    for (const char* const attribute : {"thread_exit", "drain", "shutdown"}) {
      for (const Failure& failure : {kErrors[0], kErrors[1]}) {
        CAPTURE(attribute);
        CAPTURE(failure.how);
        const Contract contract;
        contract.steer("bad", string(attribute) + "=" + failure.how);
        Server server({.toml = two_apps(contract)});
        CHECK(ask(server.tcp(), get("/bad")).status == 200);
        CHECK(server.stop().signal == 0);
        check_logged(server, attribute, failure.said);
        CHECK(fault_of_order(contract.journal("bad"), all_attributes()) == "");
        CHECK(fault_of_order(contract.journal("good"), all_attributes()) == "");
      }
    }
  }

  TEST_CASE("a thread that declines without a text is said to give none") {
    for (const char* const attribute : {"thread_start", "thread_exit"}) {
      CAPTURE(attribute);
      const Contract contract;
      contract.steer("bad", string(attribute) + "=nonsense");
      Server server({.toml = two_apps(contract)});
      static_cast<void>(ask(server.tcp(), get("/bad")));
      CHECK(server.stop().status == 0);
      check_logged(server, attribute, "declined");
      check_logged(server, attribute, "it gave no text");
    }
  }

  TEST_CASE("a drain that is declined is waited for until the app says that it is done") {
    const Contract contract;
    contract.steer("late", "drain=decline");
    Server server({.toml = patient_times() + contract.app("/late", "contract_all", "late") +
                           contract.app("/other", "contract_all", "other")});
    contract.steer("other", "on_request=hang");
    Client client(server.tcp());
    // The way back to the app: a request that is in flight when the stop comes.
    client.send(get("/other"));
    contract.wait_for("other", "on_request", "begin");
    Client last(server.tcp());
    CHECK(last.ask(get("/late")).status == 200);
    last.send("POST /late?do=finished HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n");
    server.process().send_signal(SIGTERM);
    contract.wait_for("late", "drain");
    contract.gate().put();
    CHECK(client.read_response().status == 200);
    CHECK(contract.calls("late", "shutdown").empty());
    last.send("x");
    CHECK(last.read_response().body == "finished");
    CHECK(server.ending().status == 0);
    CHECK(contract.calls("late", "shutdown").size() == 1);
    CHECK(fault_of_order(contract.journal("late"), all_attributes()) == "");
  }

  TEST_CASE("a drain that never finishes ends with the grace") {
    const Contract contract;
    contract.steer("late", "drain=nonsense");
    Server server({.toml = "grace = 0.3\n" + contract.app("/", "contract_all", "late")});
    CHECK(server.stop().status == 0);
    CHECK(logs(server, {"not every app has finished draining"}));
    CHECK(contract.calls("late", "shutdown").size() == 1);
  }
}
