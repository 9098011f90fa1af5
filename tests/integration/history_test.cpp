#include <algorithm>
#include <csignal>
#include <nlohmann/json.hpp>

#include "support/contract.hpp"
#include "support/support.hpp"

// The journal of what happens to apps, and `sonicorn history`.

using namespace support;
using nlohmann::json;
using std::string;

namespace {

json history(const string& control, std::vector<string> arguments = {}) {
  arguments.insert(arguments.begin(), "history");
  arguments.insert(arguments.end(), {"--json", "--control", control});
  return json::parse(run_sonicorn(std::move(arguments)).output);
}

// The results of that event, the oldest first.
std::vector<string> results(const json& all, const string& event) {
  std::vector<string> found;
  for (const json& each : all) {
    if (each["event"] == event) found.push_back(each["result"]);
  }
  return found;
}

}  // namespace

TEST_SUITE("history") {
  TEST_CASE("each step of an app's life is told, with app, worker, generation and build") {
    const TemporaryFolder folder;
    const string control = folder / "control";
    Server server({.toml = "control = \"" + control + "\"\n" +
                           app_entry("/", "build_one", "name = \"app\"\n")});
    CHECK(run_sonicorn({"reload", "app", "--control", control}).ending.status == 0);
    CHECK(logs(server, {"generation 1 is unloaded"}));
    CHECK(eventually([&] { return !results(history(control, {"app"}), "unload").empty(); }));
    const json all = history(control, {"app"});
    const std::vector<string> ok{"ok"};
    const std::vector<string> twice{"ok", "ok"};
    CHECK(results(all, "load") == twice);
    CHECK(results(all, "start") == twice);
    CHECK(results(all, "switch") == ok);
    CHECK(results(all, "shutdown") == ok);
    CHECK(results(all, "unload") == ok);
    const auto load = std::find_if(all.begin(), all.end(),
                                   [](const json& each) { return each["event"] == "load"; });
    CHECK((*load)["worker"] == 0);
    CHECK((*load)["generation"] == 1);
    CHECK((*load)["build_id"].get<string>().size() == 40);
    CHECK(history(control, {"--most", "2"}).size() == 2);
    CHECK(history(control, {"nobody"}).empty());
    const Outcome text = run_sonicorn({"history", "app", "--control", control});
    CHECK(text.output.find("switch") != string::npos);
  }

  TEST_CASE("what a killed server had begun is told as begun and not finished") {
    const TemporaryFolder folder;
    const Fifo entered(folder / "entered");
    const Fifo gate(folder / "gate");
    const string control = folder / "control";
    const string journal = control + ".journal";  // where it is unless told otherwise
    const string toml =
        "control = \"" + control + "\"\n" +
        app_entry("/", "gated",
                  "name = \"app\"\nsettings = { shutdown_entered = \"" + entered.path().string() +
                      "\", shutdown_gate = \"" + gate.path().string() + "\" }\n");
    {
      Server server({.toml = toml});
      server.expect_failure();
      server.process().send_signal(SIGTERM);
      entered.wait();
      // The journal has it when it is asked for it.
      CHECK(eventually(
          [&] { return read_file(journal).find("\"event\":\"shutdown\"") != string::npos; }));
      server.stop(SIGKILL);
      gate.put();
    }
    // Nobody answers, but the file does.
    for (const std::vector<string>& where :
         std::vector<std::vector<string>>{{"--journal", journal}, {"--control", control}}) {
      std::vector<string> asked{"history", "app"};
      asked.insert(asked.end(), where.begin(), where.end());
      const Outcome left = run_sonicorn(asked);
      CHECK(left.ending.status == 0);
      CHECK(left.output.find("shutdown begun, not finished") != string::npos);
    }
    Server server({.toml = toml});
    const json all = history(control);
    CHECK(results(all, "shutdown") == std::vector<string>{"not finished"});
    CHECK(results(all, "load") == std::vector<string>{"ok", "ok"});
    CHECK(results(all, "serve") == std::vector<string>{"not finished", "under way"});
    const Outcome text = run_sonicorn({"history", "app", "--control", control});
    CHECK(text.output.find("shutdown begun, not finished") != string::npos);
    gate.put();
  }

  TEST_CASE("what ended with a clean stop is told as ended, each time") {
    const TemporaryFolder folder;
    const string journal = folder / "journal";
    const int times = has_sanitizer() ? 3 : 12;
    for (int i = 0; i < times; ++i) {
      Server server({.toml = "journal = \"" + journal + "\"\n" +
                             app_entry("/", "build_one", "name = \"one\"\n") +
                             app_entry("/two", "tally_one", "name = \"two\"\n")});
      CHECK(server.stop(i % 2 == 0 ? SIGTERM : SIGINT).status == 0);
    }
    const json all = json::parse(run_sonicorn({"history", "--json", "--journal", journal}).output);
    CHECK(results(all, "shutdown") ==
          std::vector<string>(static_cast<std::size_t>(2 * times), "ok"));
  }

  TEST_CASE("the journal is in the folder that systemd keeps, and else beside the sockets") {
    for (const bool kept : {true, false}) {
      CAPTURE(kept);
      const TemporaryFolder state;
      const TemporaryFolder runtime;
      Process::Environment environment{{"RUNTIME_DIRECTORY", runtime.path()},
                                       {"TMPDIR", runtime.path()}};
      if (kept) environment.emplace_back("STATE_DIRECTORY", state.path());
      Process server({executable(), "serve", mounted("/", "echo"), "--bind", "127.0.0.1:0"},
                     environment);
      REQUIRE(server.wait_for_errors("listening on"));
      server.send_signal(SIGTERM);
      CHECK(server.wait()->status == 0);
      const json all = json::parse(
          run_sonicorn({"history", "--json", "--journal", (kept ? state : runtime) / "journal"})
              .output);
      CHECK(results(all, "serve") == std::vector<string>{"ok"});
      CHECK(results(all, "load") == std::vector<string>{"ok"});
    }
  }

  TEST_CASE("a worker's end, a refused reload and a rollback are told") {
    const TemporaryFolder folder;
    const string control = folder / "control";
    const string journal = folder / "journal";
    Server server({.toml = "control = \"" + control + "\"\njournal = \"" + journal + "\"\n" +
                           app_entry("/", "build_one", "name = \"app\"\n")});
    server.expect_failure();
    CHECK(run_sonicorn({"reload", "app", "--control", control}).ending.status == 0);
    CHECK_THROWS(ask(server.tcp(), get("/crash")));
    CHECK(eventually([&] { return !results(history(control, {"app"}), "rollback").empty(); }));
    if (!has_sanitizer()) {
      CHECK(results(history(control, {"app"}), "worker_ended") ==
            std::vector<string>{"failed: was ended by SIGSEGV in on_request"});
    }
    CHECK(run_sonicorn({"rollback", "nobody", "--control", control}).ending.status == 1);
    CHECK(results(history(control, {"nobody"}), "rollback").size() == 1);
    // Who reads the file of a server that runs, is told that it does.
    const json read = json::parse(run_sonicorn({"history", "--json", "--journal", journal}).output);
    CHECK(results(read, "serve") == std::vector<string>{"under way"});
  }
}
