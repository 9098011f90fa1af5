#include <algorithm>

#include "support/contract.hpp"
#include "support/support.hpp"

// New settings for running apps: the attribute reload, and the event "reloaded".

using namespace support;
using std::string;

namespace {

constexpr int kConfigChanged = 7;
constexpr int kReloadAsked = 4;

string two_apps(const Contract& contract, int one, int two) {
  return patient_times() +
         contract.app("/one", "contract_all", "one", "knob = " + std::to_string(one)) +
         contract.app("/two", "contract_inline", "two", "knob = " + std::to_string(two));
}

void configure(const Server& server, const string& toml) {
  write_file(server.folder() / "sonicorn.toml", toml);
}

// The last of so many events "reloaded" that the app was told.
Json wait_for_reloaded(const Contract& contract, const string& app, std::size_t count) {
  return contract.wait_until(
      app,
      [](const Json& line) {
        return line["phase"] == "end" && line["call"] == "on_event" && line["event"] == "reloaded";
      },
      count);
}

}  // namespace

TEST_SUITE("settings") {
  TEST_CASE("reload brings changed settings to the app they are for, and reloaded to all") {
    const Contract contract;
    Server server({.toml = two_apps(contract, 1, 1)});
    configure(server, two_apps(contract, 2, 1));
    server.process().send_signal(SIGHUP);
    wait_for_reloaded(contract, "one", 1);
    wait_for_reloaded(contract, "two", 1);
    const auto reloads = contract.calls("one", "reload");
    REQUIRE(reloads.size() == 1);
    CHECK(reloads[0]["reload"] == 1);
    CHECK(reloads[0]["reason"] == kConfigChanged);
    CHECK(reloads[0]["signal"] == SIGHUP);
    CHECK(reloads[0]["deadline_ms"] > 0);
    CHECK(Json::parse(reloads[0]["message"].get<string>())["knob"] == 2);
    CHECK(contract.calls("two", "reload").empty());
    // What was taken is not brought again, and what is taken back is.
    server.process().send_signal(SIGHUP);
    wait_for_reloaded(contract, "two", 2);
    CHECK(contract.calls("one", "reload").size() == 1);
    configure(server, two_apps(contract, 1, 1));
    server.process().send_signal(SIGHUP);
    wait_for_reloaded(contract, "one", 3);
    CHECK(Json::parse(contract.calls("one", "reload")[1]["message"].get<string>())["knob"] == 1);
    CHECK(server.stop().status == 0);
    CHECK(fault_of_order(contract.journal("one"), all_attributes()) == "");
  }

  TEST_CASE("a change that comes before the last one is answered is brought as well") {
    const Contract contract;
    Server server({.toml = two_apps(contract, 1, 1)});
    contract.steer("one", "reload=hang");
    configure(server, two_apps(contract, 2, 1));
    server.process().send_signal(SIGHUP);
    contract.wait_for("one", "reload", "begin");
    // Back to what it had before it was asked: it must not end with 2.
    configure(server, two_apps(contract, 1, 1));
    server.process().send_signal(SIGHUP);
    contract.steer("one", "");
    contract.gate().put();
    wait_for_reloaded(contract, "one", 2);
    wait_for_reloaded(contract, "two", 2);
    const auto reloads = contract.calls("one", "reload");
    CHECK(Json::parse(reloads.back()["message"].get<string>())["knob"] == 1);
  }

  TEST_CASE("a stop during a reload waits for it, and shuts every app down once") {
    const Contract contract;
    Server server({.toml = two_apps(contract, 1, 1)});
    contract.steer("one", "reload=hang");
    configure(server, two_apps(contract, 2, 1));
    server.process().send_signal(SIGHUP);
    contract.wait_for("one", "reload", "begin");
    server.process().send_signal(SIGTERM);
    CHECK(logs(server, {"SIGTERM: stopping"}));
    contract.gate().put();
    CHECK(server.ending().status == 0);
    for (const char* const app : {"one", "two"}) {
      CHECK(contract.calls(app, "shutdown").size() == 1);
      CHECK(fault_of_order(contract.journal(app), all_attributes()) == "");
    }
  }

  TEST_CASE("a configuration that is wrong reloads nothing, and the server goes on") {
    const Contract contract;
    Server server({.toml = two_apps(contract, 1, 1)});
    configure(server, two_apps(contract, 2, 2) + "threads = \"many\n");
    server.process().send_signal(SIGHUP);
    CHECK(logs(server, {"nothing was reloaded"}));
    CHECK(logs(server, {"sonicorn.toml:"}));
    CHECK(ask(server.tcp(), get("/one")).body == "one\n");
    CHECK(contract.calls("one", "reload").empty());
    configure(server, two_apps(contract, 2, 2));
    server.process().send_signal(SIGHUP);
    wait_for_reloaded(contract, "one", 1);
    CHECK(contract.calls("one", "reload").size() == 1);
    CHECK(contract.calls("two", "reload").size() == 1);
  }

  TEST_CASE("an app that the configuration has no more is drained and shut down") {
    const Contract contract;
    Server server({.toml = two_apps(contract, 1, 1)});
    configure(server, patient_times() + contract.app("/one", "contract_all", "one", "knob = 2"));
    server.process().send_signal(SIGHUP);
    wait_for_reloaded(contract, "one", 1);
    CHECK(contract.calls("one", "reload").size() == 1);
    contract.wait_for("two", "shutdown");
    CHECK(fault_of_order(contract.journal("two"), all_attributes()) == "");
    CHECK(ask(server.tcp(), get("/two")).status == 404);
    CHECK(ask(server.tcp(), get("/one")).body == "one\n");
  }

  TEST_CASE("an app may ask for its new settings itself, and no other app gets them") {
    const Contract contract;
    Server server({.toml = two_apps(contract, 1, 1)});
    configure(server, two_apps(contract, 2, 2));
    CHECK(ask(server.tcp(), post("/two?do=control&action=1", "because")).body == "0");
    const Json event = wait_for_reloaded(contract, "two", 1);
    CHECK(event["message"] == "because");
    const auto reloads = contract.calls("two", "reload");
    REQUIRE(reloads.size() == 1);
    CHECK(reloads[0]["reason"] == kReloadAsked);
    CHECK(reloads[0]["signal"] == 0);
    CHECK(contract.calls("one", "reload").empty());
  }

  TEST_CASE("a SIGHUP that comes while the server starts is not lost") {
    const Contract contract;
    contract.steer("one", "start=hang");
    const auto config = contract.folder() / "toml";
    write_file(config, "load_time = 60\n" + two_apps(contract, 1, 1));
    Process process({executable(), "serve", "--bind", "127.0.0.1:0", "-c", config.string()});
    contract.wait_for("one", "start", "begin");
    write_file(config, "load_time = 60\n" + two_apps(contract, 2, 1));
    process.send_signal(SIGHUP);
    REQUIRE(process.wait_for_errors("SIGHUP"));
    contract.gate().put();
    CHECK(Json::parse(contract.wait_for("one", "reload")["message"].get<string>())["knob"] == 2);
    wait_for_reloaded(contract, "two", 1);
    process.send_signal(SIGTERM);
    const auto ending = process.wait();
    REQUIRE(ending.has_value());
    CHECK(ending->status == 0);
  }

  TEST_CASE("SIGHUP ends nothing: requests in flight and connections stay") {
    const Contract contract;
    Server server({.toml = two_apps(contract, 1, 1)});
    contract.steer("one", "on_request=hang");
    Client client(server.tcp());
    client.send(get("/one"));
    contract.wait_for("one", "on_request", "begin");
    server.process().send_signal(SIGHUP);
    wait_for_reloaded(contract, "one", 1);
    contract.steer("one", "");
    contract.gate().put();
    CHECK(client.read_response().body == "one\n");
    CHECK(client.ask(get("/one")).body == "one\n");
    CHECK(contract.calls("one", "drain").empty());
  }
}
