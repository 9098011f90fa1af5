#include "support/contract.hpp"
#include "support/support.hpp"

// Deadlines are watched: an overrun is logged with the app, the attribute, how long, and the native
// backtrace of the stuck thread, and the declared policy follows.

using namespace support;
using std::string;
using namespace std::chrono_literals;

namespace {

// Times that are long enough for whoever is not stuck, and short enough to wait for.
const string kTimes =
    "[lifecycle]\nstart_time = 2\ncall_time = 2\nhealth_time = 2\nhealth_interval = 0.05\n";

string two_apps(const Contract& contract, const string& root, const string& policy) {
  return root + kTimes + contract.app("/good", "contract_all", "good", {}, "overrun = \"wait\"") +
         contract.app("/bad", "contract_all", "bad", {}, "overrun = \"" + policy + "\"");
}

void check_overrun_logged(const Server& server, const string& attribute) {
  CHECK_MESSAGE(logs(server, {"app bad", attribute, "runs for", " s, longer than", "generation 1"}),
                attribute << ": " << server.log());
  if (has_thread_sanitizer()) {
    // It keeps signals back as long as a thread is in a system call.
    CHECK(logs(server, {"app bad", attribute, attribute + " "}));
  } else {
    CHECK_MESSAGE(logs(server, {"app bad", attribute + " is at", "hang_at_the_gate"}),
                  attribute << ": " << server.log());
  }
}

void check_good_app(const Server& server) {
  CHECK(ask(server.tcp(), get("/good")).body == "good\n");
}

}  // namespace

TEST_SUITE("overrun") {
  TEST_CASE("a start that is given up drops the app, and is shut down should it return later") {
    const Contract contract;
    contract.steer("bad", "start=hang");
    Server server({.toml = two_apps(contract, "skip_broken = true\n", "abandon")});
    check_overrun_logged(server, "start");
    check_good_app(server);
    CHECK(ask(server.tcp(), get("/bad")).status == 404);
    contract.gate().put();
    contract.wait_for("bad", "start");
    CHECK(logs(server, {"app bad", "start", "returned after"}));
    CHECK(server.stop().status == 0);
    CHECK(contract.calls("bad", "shutdown").size() == 1);
    CHECK(contract.calls("bad", "ready").empty());
  }

  TEST_CASE("a start that never returns costs the other apps nothing") {
    const Contract contract;
    contract.steer("bad", "start=hang");
    Server server({.toml = two_apps(contract, "grace = 0.5\nskip_broken = true\n", "abandon")});
    check_good_app(server);
    server.stop();
    server.expect_failure();
    CHECK(contract.calls("good", "shutdown", "end").size() == 1);
    CHECK(contract.calls("bad", "shutdown").empty());
  }

  TEST_CASE("a start that is waited for is served when it returns") {
    const Contract contract;
    contract.steer("bad", "start=hang");
    write_file(contract.folder() / "toml", "load_time = 60\n" + two_apps(contract, {}, "wait"));
    Process process({executable(), "serve", "--bind", "unix:" + (contract.folder() / "s").string(),
                     "-c", (contract.folder() / "toml").string()});
    REQUIRE(process.wait_for_errors("app bad: start runs for"));
    CHECK(process.output().empty());
    contract.gate().put();
    contract.wait_for("bad", "ready");
    process.send_signal(SIGTERM);
    const auto ending = process.wait();
    REQUIRE(ending.has_value());
    CHECK(ending->status == 0);
    CHECK(fault_of_order(contract.journal("bad"), all_attributes()) == "");
  }

  TEST_CASE("the policy kill ends the worker, and another one takes its place") {
    const Contract contract;
    Server server({.toml = two_apps(contract, {}, "kill")});
    server.expect_failure();
    contract.steer("bad", "health=hang");
    CHECK(logs(server, {"worker 0", "ended with status 1"}));
    check_overrun_logged(server, "health");
    CHECK(has_logged(server.log(), {"app bad", "the worker ends"}));
    contract.steer("bad", "");
    CHECK(logs(server, {"worker 0 serves"}));
    check_good_app(server);
  }

  TEST_CASE("a lifecycle call that overruns is told, given up, and others are served") {
    const Contract contract;
    const Endpoint admin{{}, {}, contract.folder() / "admin"};
    Server server(
        {.toml = two_apps(contract, "admin = \"" + admin.path.string() + "\"\n", "abandon")});
    const auto is_ready = [](int status, const string&) { return status == 200; };
    wait_for_answer(admin, get("/readyz"), is_ready);
    const auto overruns = [&](const string& attribute, const auto& trigger) {
      CAPTURE(attribute);
      const std::size_t before = contract.calls("bad", attribute, "end").size();
      contract.steer("bad", attribute + "=hang");
      trigger();
      check_overrun_logged(server, attribute);
      check_good_app(server);
      CHECK(ask(server.tcp(), get("/bad")).body == "bad\n");
      contract.steer("bad", "");
      contract.gate().put();
      contract.wait_for("bad", attribute, "end", before + 1);
      CHECK(logs(server, {"app bad", attribute + " returned after"}));
      wait_for_answer(admin, get("/readyz"), is_ready);
    };
    overruns("health", [&] {
      wait_for_answer(admin, get("/readyz"), [](int status, const string& body) {
        return status == 503 && body.find("app bad is unhealthy") != string::npos;
      });
    });
    overruns("on_event", [&] { server.process().send_signal(SIGHUP); });
    overruns("describe", [&] {
      const Json apps = Json::parse(ask(admin, get("/apps")).body);
      CHECK(apps[1]["description_error"].get<string>().find("time") != string::npos);
    });
    overruns("reload", [&] {
      write_file(server.folder() / "sonicorn.toml",
                 two_apps(contract, {}, "abandon") + "knob = 1\n");
      string toml = two_apps(contract, {}, "abandon");
      toml.replace(toml.rfind(" }"), 2, ", knob = 1 }");
      write_file(server.folder() / "sonicorn.toml", toml);
      server.process().send_signal(SIGHUP);
    });
  }

  TEST_CASE("a request call that overruns is told with its backtrace, and others are served") {
    for (const char* const attribute :
         {"on_request", "pre_request", "post_request", "thread_start"}) {
      CAPTURE(attribute);
      const Contract contract;
      contract.steer("bad", string(attribute) + "=hang");
      Server server(
          {.toml = two_apps(contract, "threads = 1\n[limits]\nrequest_time = 2\n", "abandon")});
      Client client(server.tcp());
      client.send(get("/bad"));
      check_overrun_logged(server, attribute);
      check_good_app(server);
      CHECK(client.read_response().status == (string(attribute) == "post_request" ? 200 : 503));
      contract.steer("bad", "");
      contract.gate().put();
      contract.wait_for("bad", attribute);
      CHECK(ask(server.tcp(), get("/bad")).status == 200);
      CHECK(server.stop().status == 0);
      CHECK(fault_of_order(contract.journal("bad"), all_attributes()) == "");
    }
  }

  TEST_CASE("a shutdown that overruns is given up, and the others are shut down") {
    const Contract contract;
    contract.steer("bad", "shutdown=hang");
    Server server({.toml = two_apps(contract, "grace = 0.5\n", "abandon")});
    server.expect_failure();
    CHECK(server.stop().status == 1);
    check_overrun_logged(server, "shutdown");
    CHECK(contract.calls("good", "shutdown", "end").size() == 1);
  }

  TEST_CASE("a shutdown behind a call that never returns is not said to have been called") {
    const Contract contract;
    contract.steer("bad", "drain=hang");
    Server server({.toml = two_apps(contract, "grace = 0.5\n", "abandon")});
    server.expect_failure();
    CHECK(server.stop().status == 1);
    CHECK(logs(server, {"app bad", "its shutdown could not be called"}));
    CHECK(contract.calls("bad", "shutdown").empty());
    CHECK(contract.calls("good", "shutdown", "end").size() == 1);
  }

  TEST_CASE("a shutdown with the policy wait is waited for beyond its deadline") {
    const Contract contract;
    contract.steer("bad", "shutdown=hang");
    Server server({.toml = two_apps(contract, "grace = 0.5\n", "wait")});
    server.process().send_signal(SIGTERM);
    check_overrun_logged(server, "shutdown");
    CHECK(!server.process().wait(3s).has_value());
    contract.gate().put();
    CHECK(server.ending().status == 0);
    CHECK(contract.calls("bad", "shutdown", "end").size() == 1);
  }

  TEST_CASE("a drain that overruns ends with the grace, and shutdown comes after it returned") {
    const Contract contract;
    contract.steer("bad", "drain=hang");
    Server server({.toml = two_apps(contract, "grace = 0.5\n", "abandon")});
    server.process().send_signal(SIGTERM);
    check_overrun_logged(server, "drain");
    contract.gate().put();
    CHECK(server.ending().status == 0);
    CHECK(fault_of_order(contract.journal("bad"), all_attributes()) == "");
    CHECK(fault_of_order(contract.journal("good"), all_attributes()) == "");
  }
}
