#include <atomic>
#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "support/contract.hpp"
#include "support/reloading.hpp"
#include "support/support.hpp"

// New code for running apps, in all workers or in none, without a request lost.

using namespace support;
using nlohmann::json;
using std::string;

namespace {

string body_of(const Server& server, const string& target = "/") {
  return ask(server.tcp(), get(target)).body;
}

// Two builds of one app, and how the answer of each to the target begins.
struct Pair {
  string target;
  std::pair<string, string> first;
  std::pair<string, string> second;
};

// Kills a worker of two at some moment of each of so many reloads, which is to end with the same
// build in all of them: the new one where the command said so, else the old one.
void kill_in_reloads(const Pair& pair, int times) {
  const Builds builds(pair.first.first);
  Server server(
      {.toml = builds.toml("[workers]\ncrashes = 1000\nbackoff_most = 0.1\n", "name = \"app\"\n"),
       .arguments = {"--workers", "2"}});
  server.expect_failure();
  const auto* serving = &pair.first;
  const auto check_all = [&] {
    for (int asked = 0; asked < 10; ++asked) {
      CHECK_MESSAGE(body_of(server, pair.target).starts_with(serving->second), serving->first);
    }
  };
  for (int i = 0; i < times; ++i) {
    CAPTURE(i);
    const auto* const next = serving == &pair.first ? &pair.second : &pair.first;
    builds.install(next->first);
    std::vector<pid_t> workers;
    REQUIRE(eventually([&] { return (workers = server.workers()).size() == 2; }));
    std::atomic<bool> switched{false};
    std::thread operating([&] { switched = builds.reload(); });
    // At some moment of it.
    ::usleep(static_cast<unsigned>(has_sanitizer() ? i * 20'000 : i % 40 * 500));
    const pid_t victim = workers.at(static_cast<std::size_t>(i % 2));
    ::kill(victim, SIGKILL);
    operating.join();
    if (switched) serving = next;
    check_all();
    // It may be there for a while yet.
    REQUIRE(eventually([&] { return server.has_replaced(victim, 2); }));
    check_all();
  }
}

}  // namespace

TEST_SUITE("reload") {
  TEST_CASE("the next request gets the new build, also on a connection that is open") {
    const Builds builds("build_one");
    Server server({.toml = builds.toml()});
    Client client(server.tcp());
    CHECK(client.ask(get("/")).body == "one 1");
    CHECK(client.ask(get("/")).body == "one 2");
    builds.install("build_two");
    CHECK(builds.reload());
    // Its statics are its own.
    CHECK(client.ask(get("/")).body == "two 1");
    CHECK(logs(server, {"app app: generation 1 is unloaded"}));
    const json app = builds.apps()[0];
    CHECK(app["generation"] == 2);
    CHECK(app["requests"] == 3);
  }

  TEST_CASE("what was switched is printed, for people and for programs") {
    const Builds builds("build_one");
    Server server({.toml = builds.toml()});
    builds.install("build_two");
    const Outcome text = builds.operate({"reload"});
    CHECK(text.ending.status == 0);
    CHECK(text.output.find("app: generation 2") != string::npos);
    CHECK(text.output.find("instead of 1") != string::npos);
    const json said = json::parse(builds.operate({"reload", "app", "--json"}).output);
    CHECK(said["ok"] == true);
    CHECK(said["apps"][0]["app"] == "app");
    CHECK(said["apps"][0]["generation"] == 3);
    CHECK(said["apps"][0]["before"]["generation"] == 2);
    const Outcome unknown = builds.operate({"reload", "nobody"});
    CHECK(unknown.ending.status == 1);
    CHECK(unknown.errors.find("no app is named nobody") != string::npos);
  }

  TEST_CASE("a build that cannot serve is never switched to, and the answer says why") {
    const Builds builds("build_one");
    const string elf = read_file(fixture("build_two"));
    const string limit = has_sanitizer() ? "25" : "3";
    Server server({.toml = builds.toml("workers = 2\nload_time = " + limit +
                                       "\ngrace = 20\n[lifecycle]\nstart_time = " + limit + "\n")});
    Load load(server.tcp());
    load.wait_for_more(10);
    struct Bad {
      string fixture;
      string content;
      string said;
    };
    for (const Bad& bad :
         {Bad{{}, "this is text", "ELF"}, Bad{{}, elf.substr(0, elf.size() / 2), "app.so"},
          Bad{"wrong_major", {}, "ABI"}, Bad{"missing_symbol", {}, "defines"},
          Bad{"constructor_crashes", {}, "SIGSEGV"},
          Bad{"constructor_hangs", {}, "did not finish loading within"},
          Bad{"constructor_exits", {}, "exit"}, Bad{"build_no_start", {}, "no database"},
          Bad{"build_hangs", {}, "did not return within its time"},
          Bad{"build_second_fails", {}, "not in this worker"},
          Bad{"build_unhealthy", {}, "it is ill"}, Bad{"build_no_shutdown", {}, "shutdown"}}) {
      CAPTURE(bad.fixture);
      CAPTURE(bad.said);
      if (bad.fixture.empty()) {
        write_file(builds.file(), bad.content);
      } else {
        builds.install(bad.fixture);
      }
      const Outcome outcome = builds.operate({"reload", "app"});
      CHECK(outcome.ending.status == 1);
      CHECK_MESSAGE(outcome.errors.find(bad.said) != string::npos, outcome.errors);
      CHECK(ask(server.tcp(), get("/")).body.starts_with("one "));
    }
    builds.install("build_two");
    CHECK(builds.reload());
    load.check_nothing_lost();
    CHECK(body_of(server).starts_with("two "));
  }

  TEST_CASE("a build that takes a while to start is waited for") {
    const Builds builds("build_one");
    Server server({.toml = builds.toml()});
    builds.install("build_slow_start");
    CHECK(builds.reload());
    CHECK(body_of(server) == "slow 1");
  }

  TEST_CASE("a build without shutdown is taken when it is forced") {
    const Builds builds("build_one");
    Server server({.toml = builds.toml()});
    builds.install("build_no_shutdown");
    CHECK_FALSE(builds.reload());
    CHECK(builds.operate({"reload", "app", "--force"}).ending.status == 0);
    CHECK(body_of(server) == "no shutdown 1");
  }

  TEST_CASE("a worker that dies comes back with the build that was served, whatever the file is") {
    const Builds builds("build_one");
    Server server({.toml = builds.toml("workers = 2\n" + string(kQuick))});
    write_file(builds.file(), "no app");
    const auto before = server.workers();
    server.expect_failure();
    ::kill(before[0], SIGKILL);
    CHECK(logs(server, {"worker", "serves"}));
    for (int i = 0; i < 20; ++i) CHECK(body_of(server).starts_with("one "));
    builds.install("build_two");
    CHECK(builds.reload());
    ::kill(server.workers()[0], SIGKILL);
    for (int i = 0; i < 20; ++i) CHECK(body_of(server).starts_with("two "));
  }

  TEST_CASE("a worker that is killed during a reload: it ends one way everywhere") {
    const Pair pair{"/", {"build_one", "one "}, {"build_two", "two "}};
    kill_in_reloads(pair, has_sanitizer() ? 12 : 60);
  }

  TEST_CASE("a worker that is killed while an app with state is exchanged: the same") {
    const Pair pair{"/?schema", {"tally_one", "tally/1"}, {"tally_two", "tally/2"}};
    kill_in_reloads(pair, has_sanitizer() ? 12 : 60);
  }

  TEST_CASE("a request that runs for long ends on the generation it began on") {
    const TemporaryFolder folder;
    const Fifo entered(folder / "entered");
    const Fifo gate(folder / "gate");
    const Builds builds("gated");
    Server server({.toml = builds.toml(kQuick, "name = \"app\"\nsettings = { entered = \"" +
                                                   entered.path().string() + "\", gate = \"" +
                                                   gate.path().string() + "\" }\n")});
    Client client(server.tcp());
    client.send(get("/?wait=1"));
    entered.wait();
    builds.install("build_two");
    CHECK(builds.operate({"reload", "app", "--force"}).ending.status == 0);
    CHECK(body_of(server).starts_with("two "));
    CHECK(server.log().find("generation 1 is unloaded") == string::npos);
    gate.put();
    CHECK(client.read_response().status == 200);
    CHECK(logs(server, {"generation 1 is"}));
    CHECK(client.ask(get("/")).body.starts_with("two "));
  }

  TEST_CASE("SIGHUP takes what has changed, and leaves what has not") {
    const Builds builds("build_one");
    Server server({.toml = builds.toml()});
    server.process().send_signal(SIGHUP);
    CHECK(logs(server, {"SIGHUP"}));
    builds.install("build_two");
    server.process().send_signal(SIGHUP);
    CHECK(logs(server, {"app app: generation 2 serves"}));
    CHECK(body_of(server) == "two 1");
    CHECK(builds.apps()[0]["generation"] == 2);
  }

  TEST_CASE("the configuration adds, moves and removes apps, all or none") {
    const Builds builds("build_one");
    Server server({.toml = builds.toml()});
    const auto config = server.folder() / "sonicorn.toml";
    Load load(server.tcp());
    load.wait_for_more(10);
    write_file(config, builds.toml() + app_entry("/echo", "echo"));
    CHECK(builds.operate({"reload"}).ending.status == 0);
    CHECK(body_of(server, "/echo?show=method") == "GET");
    write_file(config, builds.toml() + app_entry("/elsewhere", "echo"));
    CHECK(builds.operate({"reload"}).ending.status == 0);
    CHECK(body_of(server, "/elsewhere?show=method") == "GET");
    CHECK(body_of(server, "/echo").starts_with("one "));
    // One part fails, so nothing changes.
    write_file(config, builds.toml() + app_entry("/other", "echo") +
                           app_entry("/broken", "start_fails", "name = \"broken\"\n"));
    const Outcome broken = builds.operate({"reload"});
    CHECK(broken.ending.status == 1);
    CHECK(broken.errors.find("app broken: start failed") != string::npos);
    CHECK(body_of(server, "/elsewhere?show=method") == "GET");
    CHECK(body_of(server, "/other").starts_with("one "));
    write_file(config, "workers = \"many\"\n" + builds.toml());
    CHECK(builds.operate({"reload"}).ending.status == 1);
    write_file(config, builds.toml());
    CHECK(builds.operate({"reload"}).ending.status == 0);
    CHECK(body_of(server, "/elsewhere").starts_with("one "));
    load.check_nothing_lost();
  }

  TEST_CASE("state is handed over to the last increment, and no request is lost") {
    const Builds builds("tally_one");
    Server server({.toml = builds.toml(kQuick, "name = \"app\"\n")});
    Load load(server.tcp(), 4);
    const int times = has_sanitizer() ? 10 : 100;
    for (int i = 0; i < times; ++i) REQUIRE(builds.reload());
    load.check_nothing_lost();
    CHECK(body_of(server) == std::to_string(load.answered() + 1));
  }

  TEST_CASE("a state that the new build does not know is a fresh start, which is told") {
    const Builds builds("tally_one");
    Server server({.toml = builds.toml(kQuick, "name = \"app\"\n")});
    CHECK(body_of(server) == "1");
    builds.install("tally_two");
    const Outcome outcome = builds.operate({"reload", "app"});
    CHECK(outcome.ending.status == 0);
    CHECK(outcome.output.find("declined") != string::npos);
    CHECK(body_of(server) == "1");
    CHECK(logs(server, {"begins afresh", "tally/1"}));
  }

  TEST_CASE("an exclusive app never runs twice at once, and its requests wait") {
    const TemporaryFolder folder;
    const Builds builds("exclusive");
    Server server({.toml = builds.toml(kQuick, "name = \"app\"\nsettings = { lock = \"" +
                                                   (folder / "lock").string() + "\" }\n")});
    Load load(server.tcp());
    for (int i = 0; i < 10; ++i) REQUIRE(builds.reload());
    // A build that does not start: the one before begins anew.
    builds.install("build_no_start");
    CHECK_FALSE(builds.operate({"reload", "app"}).ending.status == 0);
    load.wait_for_more(10);
    load.check_nothing_lost();
    CHECK(std::filesystem::exists(folder / "lock"));
  }

  TEST_CASE("an exclusive app is moved in two steps, never running at two mounts") {
    const TemporaryFolder folder;
    const Builds builds("exclusive");
    const string app =
        "name = \"app\"\nsettings = { lock = \"" + (folder / "lock").string() + "\" }\n";
    Server server({.toml = builds.toml(kQuick, app)});
    const auto config = server.folder() / "sonicorn.toml";
    string moved = builds.toml(kQuick, app);
    moved.replace(moved.find("mount = \"/\""), 11, "mount = \"/moved\"");
    write_file(config, moved);
    const Outcome refused = builds.operate({"reload"});
    CHECK(refused.ending.status == 1);
    CHECK_MESSAGE(refused.errors.find("would run twice") != string::npos, refused.errors);
    CHECK(ask(server.tcp(), get("/")).status == 200);
    write_file(config, "control = \"" + builds.control().string() + "\"\n" + kQuick +
                           app_entry("/", "echo"));
    CHECK(builds.operate({"reload"}).ending.status == 0);
    CHECK(logs(server, {"app app: generation 1 is"}));
    write_file(config, moved);
    CHECK(builds.operate({"reload"}).ending.status == 0);
    CHECK(ask(server.tcp(), get("/moved")).status == 200);
  }

  TEST_CASE("requests wait for an exclusive app no longer than the setting says") {
    const TemporaryFolder folder;
    const Builds builds("exclusive");
    Server server({.toml = builds.toml("load_time = 20\n[lifecycle]\nstart_time = 3\n"
                                       "[reload]\nhold_time = 1\n",
                                       "name = \"app\"\nsettings = { lock = \"" +
                                           (folder / "lock").string() + "\" }\n")});
    builds.install("build_hangs");
    std::thread operating([&] { builds.operate({"reload", "app", "--force"}); });
    Response refused;
    CHECK(eventually([&] { return (refused = ask(server.tcp(), get("/"))).status == 503; }));
    CHECK(!refused.field("Retry-After").empty());
    operating.join();
    CHECK(ask(server.tcp(), get("/")).status == 200);
  }

  TEST_CASE("SIGTERM during a reload ends in order") {
    for (int i = 0; i < (has_sanitizer() ? 4 : 24); ++i) {
      CAPTURE(i);
      // Beside the old generation, and after it.
      const string kind = i % 2 == 0 ? "build" : "tally";
      const Builds builds(kind + "_one");
      Server server(
          {.toml = builds.toml(kQuick, "name = \"app\"\n"), .arguments = {"--workers", "2"}});
      builds.install(kind + "_two");
      std::thread operating([&] { builds.operate({"reload", "app"}); });
      ::usleep(static_cast<unsigned>(2500 * i));
      CHECK(server.stop().status == 0);
      operating.join();
    }
  }

  TEST_CASE("a file that changes is reloaded once it is complete, however it is written") {
    const Builds builds("build_one");
    Server server({.toml = builds.toml(), .arguments = {"--reload"}});
    CHECK(body_of(server) == "one 1");
    builds.install("build_two");
    CHECK(logs(server, {"app app: generation 2 serves"}));
    CHECK(body_of(server) == "two 1");
    // In place and in pieces.
    const string one = read_file(fixture("build_one"));
    {
      std::ofstream stream(builds.file(), std::ios::binary);
      stream << one.substr(0, one.size() / 2) << std::flush;
      ::usleep(600'000);  // a linker that takes its time
      CHECK(body_of(server) == "two 2");
      stream << one.substr(one.size() / 2);
    }
    CHECK(logs(server, {"app app: generation 3 serves"}));
    CHECK(body_of(server) == "one 1");
    CHECK(server.log().find("nothing was reloaded") == string::npos);
    // One that stays broken is told of, and the old build serves.
    write_file(builds.file(), "no app");
    CHECK(logs(server, {"nothing was reloaded", "ELF"}));
    CHECK(body_of(server) == "one 2");
    std::filesystem::remove(builds.file());
    builds.install("build_two");
    CHECK(logs(server, {"app app: generation 4 serves"}));
    CHECK(body_of(server) == "two 1");
  }

  TEST_CASE("what becomes of replaced code is told as it is") {
    struct Case {
      string fixture;
      string said;
    };
    std::vector<Case> cases{{"build_one", "unloaded"},
                            {"nodelete", "pinned: it is linked with -z nodelete"},
                            {"leaves_thread", "pinned: the thread left-behind runs its code"},
                            {"leaves_handler", "pinned: its handler of SIGUSR2 is installed"}};
    // Sanitizers keep an app from being asked about keys, and a thread from answering.
    if (has_sanitizer()) {
      cases.resize(2);
    } else {
      cases.push_back({"leaves_key", "pinned: a pthread key has a destructor in its code"});
    }
    for (const Case& each : cases) {
      CAPTURE(each.fixture);
      const Builds builds(each.fixture);
      Server server({.toml = builds.toml(kQuick, "name = \"app\"\n")});
      builds.install("build_two");
      CHECK(builds.operate({"reload", "app", "--force"}).ending.status == 0);
      CHECK(body_of(server) == "two 1");
      CHECK(logs(server, {"app app: generation 1 is"}));
      const Outcome apps = builds.operate({"apps"});
      CHECK_MESSAGE(
          apps.output.find("generation 1 of app in worker 0: " + each.said) != string::npos,
          apps.output);
    }
  }

  TEST_CASE("replaced code may use its server until it is gone, and when it stays, to the end") {
    for (const bool stays : {false, true}) {
      CAPTURE(stays);
      const Builds builds("speaks_last");
      Server server({.toml = builds.toml(kQuick, "name = \"app\"\n")});
      CHECK(body_of(server, stays ? "/?thread" : "/") == "speaks last\n");
      builds.install("build_two");
      CHECK(builds.operate({"reload", "app", "--force"}).ending.status == 0);
      CHECK(logs(server, {stays ? "generation 1 is pinned: thread_local objects of it wait"
                                : "generation 1 is unloaded"}));
      const string said =
          stays ? "app app: the object of a thread has no" : "app app: the static object has no";
      CHECK((server.log().find(said) == string::npos) == stays);
      server.process().send_signal(SIGTERM);
      CHECK(server.ending().status == 0);
      CHECK(server.log().find(said) != string::npos);
    }
  }

  TEST_CASE("a thread that was left behind is found when its code is kept by nobody else") {
    // Sanitizers keep a thread from answering.
    if (has_sanitizer()) return;
    const Builds builds("leaves_thread");
    Server server(
        {.toml = builds.toml(string(kQuick) + "[reload]\nprobation = 0\n", "name = \"app\"\n")});
    const pid_t worker = server.worker();
    builds.install("build_two");
    CHECK(builds.operate({"reload", "app", "--force"}).ending.status == 0);
    CHECK(logs(server, {"generation 1 is pinned: the thread left-behind runs its code"}));
    CHECK(body_of(server) == "two 1");
    CHECK(server.worker() == worker);
  }

  TEST_CASE("a plan tells what a build would change, and what a reload would refuse") {
    const Builds builds("build_one");
    Server server({.toml = builds.toml()});
    const Outcome same = builds.operate({"plan", builds.file().string()});
    CHECK(same.ending.status == 0);
    CHECK(same.output.find("the build that runs") != string::npos);
    const Outcome ill = builds.operate({"plan", fixture("build_unhealthy").string(), "--json"});
    CHECK(ill.ending.status == 0);
    CHECK(json::parse(ill.output)["gains"] == json{"attribute health"});
    const Outcome less = builds.operate({"plan", fixture("build_no_shutdown").string()});
    CHECK(less.ending.status == 1);
    CHECK(less.output.find("loses    attribute shutdown") != string::npos);
    CHECK(less.output.find("--force") != string::npos);
    CHECK(body_of(server) == "one 1");
  }
}
