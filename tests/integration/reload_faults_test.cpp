#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "support/contract.hpp"
#include "support/reloading.hpp"
#include "support/support.hpp"

// What goes wrong while what is served changes: it is one way or the other in all workers, and told
// as it is.

using namespace support;
using nlohmann::json;
using std::string;
using namespace std::chrono_literals;

namespace {

// A server with some workers and one app that a test steers.
struct Steered {
  explicit Steered(unsigned workers, const string& fixture_name = "contract_plain",
                   const string& root = {}, const string& settings = {})
      : server({.toml = toml(fixture_name, root, settings),
                .arguments = {"--workers", std::to_string(workers), "--control", control()}}) {}

  string toml(const string& fixture_name, const string& root, const string& settings) const {
    return root + patient_times() + "[workers]\ncrashes = 1000\nbackoff_most = 0.1\n" +
           contract.app("/", fixture_name, "app", settings);
  }
  string control() const { return (contract.folder() / "control").string(); }
  Outcome operate(std::vector<string> arguments) const {
    arguments.insert(arguments.end(), {"--control", control()});
    return run_sonicorn(arguments);
  }
  void steer(const string& lines) const { contract.steer("app", lines); }

  // Of the requests of this many connections, the generations that answered them; 0: none did.
  std::set<int> generations(int connections = 20) const {
    const std::size_t before = contract.calls("app", "on_request").size();
    std::set<int> all;
    for (int i = 0; i < connections; ++i) {
      if (ask(server.tcp(), get("/")).status != 200) all.insert(0);
    }
    const auto calls = contract.calls("app", "on_request");
    for (std::size_t i = before; i < calls.size(); ++i)
      all.insert(calls[i]["generation"].get<int>());
    return all;
  }
  // Waits until `count` workers serve.
  void wait_for_workers(std::size_t count) const {
    REQUIRE(eventually([&] {
      const json all = json::parse(operate({"workers", "--json"}).output, nullptr, false);
      return all.is_array() && all.size() == count &&
             std::all_of(all.begin(), all.end(),
                         [](const json& each) { return each["state"] == "serving"; });
    }));
  }
  pid_t worker(unsigned index) const {
    for (const json& each : json::parse(operate({"workers", "--json"}).output)) {
      if (each["worker"] == index) return each["pid"];
    }
    throw std::runtime_error("there is no such worker");
  }

  Contract contract;
  Server server;
};

// The command beside the test.
class Operating {
 public:
  Operating(const Steered& steered, const std::vector<string>& arguments)
      : thread_([this, &steered, arguments] {
          outcome_ = steered.operate(arguments);
          over_ = true;
        }) {}
  ~Operating() {
    if (thread_.joinable()) thread_.join();
  }
  Operating(const Operating&) = delete;
  Operating& operator=(const Operating&) = delete;

  bool is_over() const { return over_; }
  const Outcome& outcome() {
    if (thread_.joinable()) thread_.join();
    return outcome_;
  }

 private:
  std::atomic<bool> over_{false};
  Outcome outcome_;
  std::thread thread_;
};

}  // namespace

TEST_SUITE("reload_faults") {
  TEST_CASE("a worker that dies while the one it replaced still leaves") {
    Steered steered(1);
    steered.server.expect_failure();
    steered.steer("on_request=hang");
    Client slow(steered.server.tcp());
    slow.send(get("/"));
    steered.contract.wait_for("app", "on_request", "begin");
    Operating restart(steered, {"restart-worker", "0"});
    CHECK(logs(steered.server, {"worker 0 serves (pid"}));
    steered.steer("");
    ::kill(steered.worker(0), SIGKILL);
    CHECK(eventually([&] { return count_of(steered.server.log(), "worker 0 serves (pid") == 2; }));
    steered.contract.gate().put();
    CHECK(slow.read_response().status == 200);
    CHECK(restart.outcome().ending.status == 0);
    CHECK(steered.operate({"restart-worker", "0"}).ending.status == 0);
    CHECK(steered.generations() == std::set<int>{1});
  }

  TEST_CASE("an exchange that fails in one worker is left in the one that still waits for it") {
    Steered steered(2, "contract_all");
    steered.steer("on_request@0=hang\nstart@1=fail");
    // Whoever gets to the first worker waits there.
    std::vector<Client> clients;
    while (true) {
      clients.emplace_back(steered.server.tcp());
      clients.back().send(get("/"));
      steered.contract.wait_for("app", "on_request", "begin", clients.size());
      if (!clients.back().readable(has_sanitizer() ? 500ms : 50ms)) break;
    }
    Operating reload(steered, {"reload", "app"});
    steered.contract.wait_until("app", [](const json& line) {
      return line["call"] == "start" && line["phase"] == "end" && line["result"] != 0;
    });
    steered.steer("");
    steered.contract.gate().put();
    CHECK(clients.back().read_response().status == 200);
    CHECK(reload.outcome().ending.status == 1);
    CHECK(reload.outcome().errors.find("start failed") != string::npos);
    // The old build came up no better there, so its worker began anew.
    CHECK(eventually([&] {
      const auto serving = steered.generations();
      CHECK(serving.count(2) == 0);
      return serving.count(0) == 0;
    }));
  }

  TEST_CASE("what two workers had done for a reload is taken back when the third cannot") {
    Steered steered(3, "contract_plain", {}, "knob = 1");
    steered.steer("start@1=fail\nstart@2=hang");
    Operating reload(steered, {"reload", "app"});
    steered.contract.wait_until("app", [](const json& line) {
      return line["call"] == "start" && line["phase"] == "end" && line["result"] != 0;
    });
    // The third has got that far, too.
    steered.contract.wait_until("app", [](const json& line) {
      return line["call"] == "start" && line["worker"] == 2 && line["generation"] == 2;
    });
    steered.steer("");
    steered.contract.gate().put();
    CHECK(reload.outcome().ending.status == 1);
    // Prepare (b), then aborted (c): in each worker whose app had agreed.
    const auto aborted = [&] {
      std::set<int> workers;
      for (const json& call : steered.contract.calls("app", "reload")) {
        if (call["reload"] == 3) workers.insert(call["worker"].get<int>());
      }
      return workers;
    };
    CHECK(eventually([&] { return aborted() == std::set<int>{0, 1, 2}; }));
    CHECK(steered.generations() == std::set<int>{1});
    // No candidate is left behind.
    for (const pid_t worker : steered.server.workers()) {
      CHECK(eventually([&] {
        std::set<string> files;
        std::ifstream maps("/proc/" + std::to_string(worker) + "/maps");
        for (string line; std::getline(maps, line);) {
          if (line.find("contract_plain") != string::npos) {
            files.insert(line.substr(line.find('/')));
          }
        }
        return files.size() == 1;
      }));
    }
  }

  TEST_CASE("an old build that does not come up again is not served as it is") {
    Steered steered(1, "contract_all");
    steered.server.expect_failure();
    steered.steer("start=fail");
    const Outcome reload = steered.operate({"reload", "app"});
    CHECK(reload.ending.status == 1);
    CHECK(reload.errors.find("the build before does not come up again") != string::npos);
    CHECK(steered.generations() == std::set<int>{0});
    CHECK(steered.operate({"status", "--json"}).output.find("\"ready\":true") == string::npos);
    steered.steer("");
    // A worker that begins anew is tried again and again.
    CHECK(eventually([&] { return ask(steered.server.tcp(), get("/")).status == 200; }));
  }

  TEST_CASE("both workers crash by a new build, and the return to the one before is not lost") {
    const Builds builds("build_one");
    Server server({.toml = builds.toml("threads = 1\n" + string(kQuick) +
                                           "[workers]\ncrashes = 1000\nbackoff_most = 0.1\n",
                                       "name = \"app\"\n"),
                   .arguments = {"--workers", "2"}});
    server.expect_failure();
    for (int i = 0; i < (has_sanitizer() ? 3 : 10); ++i) {
      builds.install("build_two");
      REQUIRE(builds.reload());
      // One connection in each worker, as good as surely.
      std::vector<Client> clients;
      for (int k = 0; k < 12; ++k) {
        clients.emplace_back(server.tcp());
        CHECK(clients.back().ask(get("/")).body.starts_with("two "));
      }
      for (Client& client : clients) client.send(get("/crash"));
      CHECK(eventually([&] {
        return builds.operate({"history", "app"}).output.find("under way") == string::npos &&
               count_of(server.log(), "fails its probation") == static_cast<std::size_t>(i + 1);
      }));
      CHECK(eventually([&] {
        try {
          for (int k = 0; k < 10; ++k) {
            if (!ask(server.tcp(), get("/")).body.starts_with("one ")) return false;
          }
          return server.workers().size() == 2;
        } catch (const std::exception&) {
          return false;
        }
      }));
      builds.install("build_one");
      REQUIRE(eventually([&] { return builds.reload(); }));
      CHECK(builds.operate({"commit", "app"}).ending.status == 0);
    }
  }

  TEST_CASE("a crash of the generation before says nothing about the one that serves") {
    Steered steered(1);
    steered.server.expect_failure();
    steered.steer("shutdown=exit");
    CHECK(steered.operate({"reload", "app"}).ending.status == 0);
    CHECK(logs(steered.server, {"app app: shutdown ended the worker", "generation 1"}));
    steered.steer("");
    CHECK(logs(steered.server, {"worker 0 serves (pid"}));
    CHECK(steered.generations() == std::set<int>{2});
    CHECK(!has_logged(steered.server.log(), {"fails its probation"}));
  }

  TEST_CASE("a build whose start ends its process ends one worker, and the answer says so") {
    Steered steered(2);
    steered.server.expect_failure();
    const auto before = steered.server.workers();
    steered.steer("start=exit");
    const Outcome reload = steered.operate({"reload", "app"});
    steered.steer("");
    CHECK(reload.ending.status == 1);
    CHECK(reload.errors.find("start ended the worker by exit") != string::npos);
    steered.wait_for_workers(2);
    const auto now = steered.server.workers();
    CHECK(std::count_if(now.begin(), now.end(), [&](pid_t pid) {
            return std::find(before.begin(), before.end(), pid) != before.end();
          }) == 1);
    CHECK(steered.generations() == std::set<int>{1});
  }

  TEST_CASE("a worker that comes up during a reload serves what the others do") {
    const Builds builds("build_one");
    Server server({.toml = builds.toml(string(kQuick) + "[workers]\ncrashes = 1000\n" +
                                       "backoff = 0.001\nbackoff_most = 0.01\n"),
                   .arguments = {"--workers", "2"}});
    server.expect_failure();
    string next = "two";
    for (int i = 0; i < (has_sanitizer() ? 8 : 40); ++i) {
      builds.install("build_" + next);
      std::vector<pid_t> workers;
      REQUIRE(eventually([&] { return (workers = server.workers()).size() == 2; }));
      const pid_t victim = workers[static_cast<std::size_t>(i % 2)];
      ::kill(victim, SIGKILL);
      // Else the reload would ask the dead one.
      REQUIRE(eventually([&] {
        return count_of(server.log(), "was ended by SIGKILL") == static_cast<std::size_t>(i) + 1;
      }));
      // At some moment of its successor's start.
      ::usleep(static_cast<unsigned>(i * (has_sanitizer() ? 40'000 : 4'000)));
      REQUIRE(builds.reload());
      REQUIRE(eventually([&] { return server.has_replaced(victim, 2); }));
      for (int k = 0; k < 20; ++k) CHECK(ask(server.tcp(), get("/")).body.starts_with(next + " "));
      next = next == "one" ? "two" : "one";
    }
  }

  TEST_CASE("a worker that begins with what was served before is shut down, not killed") {
    Steered steered(2);
    steered.server.expect_failure();
    const pid_t victim = steered.worker(1);
    steered.steer("start@1=hang");
    ::kill(victim, SIGKILL);
    steered.contract.wait_until("app", [&](const json& line) {
      return line["call"] == "start" && line["worker"] == 1 && line["pid"] != victim;
    });
    Operating reload(steered, {"reload", "app"});
    CHECK(reload.outcome().ending.status == 0);
    steered.steer("");
    // That one, and maybe its successor.
    steered.contract.gate().put(2);
    steered.wait_for_workers(2);
    CHECK(steered.generations() == std::set<int>{2});
    CHECK(steered.server.stop().status == 0);
    std::map<pid_t, int> open;
    for (const json& call : steered.contract.calls("app", "start", "end"))
      ++open[call["pid"].get<pid_t>()];
    for (const json& call : steered.contract.calls("app", "shutdown", "end"))
      --open[call["pid"].get<pid_t>()];
    for (const auto& [pid, starts] : open) CHECK((starts == 0 || pid == victim));
  }

  TEST_CASE("a worker that dies while a build is made is back before that") {
    const Builds builds("build_one");
    Server server({.toml = builds.toml("load_time = 20\ngrace = 20\n")});
    server.expect_failure();
    builds.install("constructor_hangs");
    std::atomic<bool> over{false};
    std::thread operating([&] {
      CHECK(!builds.reload());
      over = true;
    });
    // The build is made by another child.
    REQUIRE(eventually([&] {
      const string own = std::to_string(server.process().id());
      const string children = read_file("/proc/" + own + "/task/" + own + "/children");
      return std::count(children.begin(), children.end(), ' ') == 2;
    }));
    ::kill(server.workers().at(0), SIGKILL);
    CHECK(ask(server.tcp(), get("/")).body.starts_with("one "));
    CHECK(!over);
    operating.join();
  }

  TEST_CASE("a stop while a build is made ends in order") {
    const Builds builds("build_one");
    Server server({.toml = builds.toml("load_time = 20\ngrace = 20\n")});
    builds.install("constructor_hangs");
    // Over when the workers have ended, and the supervisor is about to.
    write_file(server.folder() / "sonicorn.toml", builds.toml("load_time = 0.4\ngrace = 20\n"));
    REQUIRE(eventually([&] {
      server.process().send_signal(SIGHUP);
      const string own = std::to_string(server.process().id());
      const string children = read_file("/proc/" + own + "/task/" + own + "/children");
      return std::count(children.begin(), children.end(), ' ') == 2;
    }));
    CHECK(server.stop().status == 0);
    CHECK(!has_logged(server.log(), {"this should not have happened"}));
  }

  TEST_CASE("where no worker serves, a reload is what the next one makes of it") {
    Steered steered(1, "contract_plain");
    steered.server.expect_failure();
    CHECK(steered.operate({"drain", "app"}).ending.status == 0);
    steered.steer("start=fail");
    ::kill(steered.server.worker(), SIGKILL);
    CHECK(logs(steered.server, {"worker 0 is started again"}));
    const Outcome failed = steered.operate({"reload", "app"});
    CHECK(failed.ending.status == 1);
    CHECK(has_logged(failed.errors, {"did not come up with it"}));
    steered.steer("");
    steered.wait_for_workers(1);
    CHECK(steered.generations() == std::set<int>{0});  // as it was: drained
    const Outcome good = steered.operate({"reload", "app"});
    CHECK(good.ending.status == 0);
    CHECK(steered.generations().count(0) == 0);
  }

  TEST_CASE("a worker that is gone when it is its turn leaves nothing begun in the others") {
    Steered steered(3);
    steered.server.expect_failure();
    steered.steer("start@0=hang");
    Operating reload(steered, {"reload", "app"});
    steered.contract.wait_until("app", [](const json& line) {
      return line["call"] == "start" && line["phase"] == "begin" && line["generation"] == 2;
    });
    const pid_t victim = steered.worker(1);
    ::kill(victim, SIGKILL);
    REQUIRE(eventually([&] { return stat_of(victim).empty(); }));
    steered.steer("");
    steered.contract.gate().put();
    CHECK(reload.outcome().ending.status == 1);
    CHECK(steered.generations() == std::set<int>{1});
    steered.wait_for_workers(3);
    CHECK(steered.operate({"reload", "app"}).ending.status == 0);
    CHECK(steered.generations() == std::set<int>{3});
  }

  TEST_CASE("no two generations run at once, also when the exchange is left meanwhile") {
    Steered steered(2, "contract_all");
    steered.server.expect_failure();
    const pid_t victim = steered.worker(0);
    steered.steer("shutdown@1=hang");
    Operating reload(steered, {"reload", "app"});
    steered.contract.wait_until("app", [](const json& line) {
      return line["call"] == "shutdown" && line["phase"] == "begin" && line["worker"] == 1;
    });
    ::kill(victim, SIGKILL);
    // The other worker is told that it is left, and waits all the same.
    CHECK(logs(steered.server, {"worker 0", "was ended by SIGKILL"}));
    steered.steer("");
    steered.contract.gate().put();
    reload.outcome();
    std::set<int> running;
    for (const json& line : steered.contract.journal("app")) {
      if (line["worker"] != 1) continue;
      if (line["call"] == "start" && line["phase"] == "begin") {
        running.insert(line["generation"].get<int>());
        CHECK_MESSAGE(running.size() == 1, line.dump());
      }
      if (line["call"] == "shutdown" && line["phase"] == "end") {
        running.erase(line["generation"].get<int>());
      }
    }
  }

  TEST_CASE("an app that served nobody serves nobody when a reload of it is left") {
    Steered steered(1, "contract_all");
    steered.server.expect_failure();
    CHECK(steered.operate({"drain", "app"}).ending.status == 0);
    steered.steer("save_state=fail");
    CHECK(steered.operate({"reload", "app"}).ending.status == 1);
    CHECK(steered.generations() == std::set<int>{0});
    steered.steer("start=fail");
    CHECK(steered.operate({"reload", "app"}).ending.status == 1);
    CHECK(steered.generations() == std::set<int>{0});
  }

  TEST_CASE("a worker that is to be replaced while it comes up") {
    Steered steered(1);
    steered.server.expect_failure();
    steered.steer("start=hang");
    ::kill(steered.worker(0), SIGKILL);
    steered.contract.wait_for("app", "start", "begin", 2);
    Operating restart(steered, {"restart-worker", "0"});
    steered.contract.wait_for("app", "start", "begin", 3);
    steered.steer("");
    steered.contract.gate().put(2);
    CHECK(restart.outcome().ending.status == 0);
    steered.wait_for_workers(1);
    CHECK(steered.operate({"restart-worker"}).ending.status == 0);
    CHECK(steered.generations() == std::set<int>{1});
  }

  TEST_CASE("reloads during a reload wait for it, and are one") {
    Steered steered(1);
    steered.steer("start=hang");
    Operating first(steered, {"reload", "app"});
    steered.contract.wait_for("app", "start", "begin", 2);
    Operating second(steered, {"reload", "app"});
    Operating third(steered, {"reload", "app"});
    // Answered after both were heard.
    CHECK(steered.operate({"status"}).ending.status == 0);
    CHECK(!first.is_over());
    const Outcome drain = steered.operate({"drain", "app"});
    CHECK(drain.ending.status == 1);
    CHECK(drain.errors.find("app app is being reloaded; drain it when that has") != string::npos);
    steered.steer("");
    steered.contract.gate().put();
    for (Operating* const each : {&first, &second, &third}) {
      CHECK(each->outcome().ending.status == 0);
    }
    // One that came late is one more.
    CHECK(steered.contract.calls("app", "start").size() <= 4);
    CHECK(steered.contract.calls("app", "start").size() >= 3);
  }

  TEST_CASE("a commit of one app holds when another one is being reloaded") {
    const Contract contract;
    const Builds one("build_one");
    Server server({.toml = one.toml(patient_times(), "name = \"one\"\n") +
                           contract.app("/other", "contract_plain", "other")});
    one.install("build_two");
    REQUIRE(one.reload("one"));
    contract.steer("other", "start=hang");
    std::thread operating([&] { CHECK(one.reload("other")); });
    contract.wait_for("other", "start", "begin", 2);
    CHECK(one.operate({"commit", "one"}).ending.status == 0);
    contract.steer("other", "");
    contract.gate().put();
    operating.join();
    CHECK(one.operate({"rollback", "one"}).ending.status == 1);
  }
}
