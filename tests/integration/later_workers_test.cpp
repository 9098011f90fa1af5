#include <algorithm>
#include <atomic>
#include <csignal>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

#include "support/contract.hpp"
#include "support/support.hpp"

// What the operator or the supervisor has said holds in workers that come up later, too.

using namespace support;
using std::string;
using namespace std::chrono_literals;

namespace {

// Of this many requests, each on a connection of its own.
std::set<int> statuses(const Server& server, const string& request, int count = 20) {
  std::set<int> all;
  for (int i = 0; i < count; ++i) all.insert(ask(server.tcp(), request).status);
  return all;
}

void restart_worker(Server& server, std::size_t workers) {
  const pid_t victim = server.workers().at(0);
  ::kill(victim, SIGKILL);
  REQUIRE(eventually([&] { return server.has_replaced(victim, workers); }));
}

}  // namespace

TEST_SUITE("later_workers") {
  TEST_CASE("a drained app stays drained until it is reloaded") {
    const TemporaryFolder folder;
    const std::vector<string> control{"--control", folder / "control"};
    const auto operate = [&](std::vector<string> arguments) {
      arguments.insert(arguments.end(), control.begin(), control.end());
      return run_sonicorn(arguments);
    };
    Server server({.toml = "[workers]\nbackoff = 0.001\n" +
                           app_entry("/", "build_one", "name = \"app\"\n") +
                           app_entry("/other", "echo", "name = \"other\"\n"),
                   .arguments = {"--workers", "2", "--control", control[1]}});
    server.expect_failure();
    CHECK(operate({"drain", "app"}).ending.status == 0);
    CHECK(statuses(server, get("/")) == std::set<int>{503});
    restart_worker(server, 2);
    CHECK(operate({"restart-worker"}).ending.status == 0);
    CHECK(statuses(server, get("/")) == std::set<int>{503});
    CHECK(statuses(server, get("/other")) == std::set<int>{200});
    CHECK(operate({"reload", "app"}).ending.status == 0);
    CHECK(statuses(server, get("/")) == std::set<int>{200});
    restart_worker(server, 2);
    CHECK(statuses(server, get("/")) == std::set<int>{200});
  }

  TEST_CASE("a drain of one app waits for its last request") {
    const Contract contract;
    const string control = contract.folder() / "control";
    contract.steer("app", "on_request=hang");
    Server server({.toml = patient_times() + contract.app("/", "contract_plain", "app"),
                   .arguments = {"--control", control}});
    Client slow(server.tcp());
    slow.send(get("/"));
    contract.wait_for("app", "on_request", "begin");
    std::atomic<bool> over{false};
    std::thread draining([&] {
      CHECK(run_sonicorn({"drain", "app", "--control", control}).ending.status == 0);
      over = true;
    });
    contract.wait_for("app", "drain");
    CHECK(ask(server.tcp(), get("/")).status == 503);
    CHECK(!over);
    contract.gate().put();
    CHECK(slow.read_response().status == 200);
    draining.join();
  }

  TEST_CASE("an app that is quarantined while a worker comes up is not served by that worker") {
    const Contract contract;
    Server server({.toml = patient_times() + "[workers]\ncrashes = 1\ncrash_time = 600\n" +
                           "backoff = 0.001\nbackoff_most = 0.01\n" +
                           contract.app("/app", "contract_plain", "app") +
                           app_entry("/good", "echo"),
                   .arguments = {"--workers", "2"}});
    server.expect_failure();
    contract.steer("app", "on_request=exit");
    // The first death is borne.
    CHECK_THROWS(ask(server.tcp(), get("/app")));
    REQUIRE(logs(server, {" serves (pid "}));
    const pid_t victim = server.workers().at(0);
    contract.steer("app", "on_request=exit\nstart=hang");
    ::kill(victim, SIGKILL);
    contract.wait_for("app", "start", "begin", 4);
    CHECK_THROWS(ask(server.tcp(), get("/app")));
    CHECK_MESSAGE(logs(server, {"app app", "quarantined"}), server.log());
    contract.steer("app", "");
    contract.gate().put(2);
    REQUIRE(eventually([&] { return server.workers().size() == 2; }));
    CHECK(eventually([&] { return statuses(server, get("/good"), 1) == std::set<int>{200}; }));
    CHECK(statuses(server, get("/app")) == std::set<int>{503});
  }

  TEST_CASE("a quarantined build is not let in again by a reload, but another one is") {
    const TemporaryFolder folder;
    const string control = folder / "control";
    const auto file = folder / "app.so";
    std::filesystem::copy_file(fixture("crashes_inline"), file);
    Server server({.toml = "control = \"" + control + "\"\n[workers]\ncrashes = 0\n" +
                           "backoff = 0.001\n[[app]]\nmount = \"/\"\nname = \"app\"\nfile = \"" +
                           file.string() + "\"\n"});
    server.expect_failure();
    CHECK_THROWS(ask(server.tcp(), get("/exit3")));
    CHECK(logs(server, {"app app", "quarantined"}));
    CHECK(eventually([&] { return statuses(server, get("/"), 1) == std::set<int>{503}; }));
    const Outcome same = run_sonicorn({"reload", "app", "--control", control});
    CHECK(same.ending.status == 1);
    CHECK(has_logged(same.errors, {"it is quarantined", "sonicorn unquarantine app"}));
    CHECK(statuses(server, get("/")) == std::set<int>{503});
    std::filesystem::copy_file(fixture("build_one"), folder / "next.so");
    std::filesystem::rename(folder / "next.so", file);
    CHECK(run_sonicorn({"reload", "app", "--control", control}).ending.status == 0);
    CHECK(statuses(server, get("/")) == std::set<int>{200});
  }

  TEST_CASE("limits that a reload changes hold in all workers, and cost no request") {
    const auto toml = [](const string& limits) {
      return "threads = 1\n" + limits + app_entry("/", "echo");
    };
    Server server({.toml = toml("[limits]\nbody = 1000\n"), .arguments = {"--workers", "2"}});
    const string request = post("/", string(500, 'x'));
    CHECK(statuses(server, request) == std::set<int>{200});
    write_file(server.folder() / "sonicorn.toml", toml("[limits]\nbody = 100\n"));
    const auto before = server.workers();
    server.process().send_signal(SIGHUP);
    REQUIRE(eventually([&] {
      CHECK(statuses(server, get("/"), 1) == std::set<int>{200});
      const auto now = server.workers();
      return now.size() == 2 && std::none_of(now.begin(), now.end(), [&](pid_t pid) {
               return std::find(before.begin(), before.end(), pid) != before.end();
             });
    }));
    CHECK(statuses(server, request) == std::set<int>{413});
    // A limit that there was none of before.
    write_file(server.folder() / "sonicorn.toml",
               toml("[limits]\nbody = 100\n[workers]\nmax_requests = 5\n"));
    server.process().send_signal(SIGHUP);
    CHECK(eventually([&] {
      ask(server.tcp(), get("/"));
      return has_logged(server.log(), {"is replaced", "it has answered", "requests"});
    }));
  }

  TEST_CASE("connections are shared among the I/O threads, whoever accepts them") {
    // A thread that is in the middle of an app is passed over, which is any that has to wait for a
    // processor there: that is no rule, so one round of a few must be fair.
    const auto least = [] {
      const Contract contract;
      const Server server({.toml = "threads = 2\n" + patient_times() +
                                   contract.app("/", "contract_inline", "app")});
      std::vector<Client> clients;
      for (int i = 0; i < 8; ++i) {
        clients.emplace_back(server.tcp());
        CHECK(clients.back().ask(get("/")).status == 200);
      }
      for (Client& client : clients) CHECK(client.ask(get("/")).status == 200);
      std::map<long, int> requests;
      for (const Json& call : contract.calls("app", "on_request")) {
        ++requests[call["thread"].get<long>()];
      }
      int fewest = requests.size() == 2 ? 16 : 0;
      for (const auto& [thread, count] : requests) fewest = std::min(fewest, count);
      return fewest;
    };
    int best = 0;
    for (int round = 0; round < 10 && best < 8; ++round) best = std::max(best, least());
    CHECK(best == 8);
  }

  TEST_CASE("a worker that is stopped is replaced by one that runs") {
    Server server({.toml = "threads = 1\n[limits]\nloop_time = 1\n[workers]\nbackoff = 0.001\n" +
                           app_entry("/", "echo"),
                   .arguments = {"--workers", "2"}});
    server.expect_failure();
    const pid_t victim = server.workers().at(0);
    ::kill(victim, SIGSTOP);
    CHECK(logs(server, {"has not answered the supervisor"}));
    CHECK(eventually([&] { return server.has_replaced(victim, 2); }));
    CHECK(statuses(server, get("/")) == std::set<int>{200});
  }

  TEST_CASE("a worker whose descriptors an app has closed is replaced") {
    Server server({.toml = "threads = 1\n[workers]\nbackoff = 0.001\n" +
                           app_entry("/", "crashes_inline", "name = \"bad\"\n")});
    server.expect_failure();
    const pid_t before = server.worker();
    Client client(server.tcp());
    client.send(get("/closefrom"));
    CHECK(logs(server, {"has closed its channel to the supervisor"}));
    CHECK(eventually([&] {
      const auto now = server.workers();
      return now.size() == 1 && now[0] != before;
    }));
    CHECK(ask(server.tcp(), get("/")).body == "well");
  }

  TEST_CASE("who keeps a connection loses no request when its worker is replaced") {
    const TemporaryFolder folder;
    const string control = folder / "control";
    Server server(
        {.toml = "workers = 2\n" + app_entry("/", "echo"), .arguments = {"--control", control}});
    std::atomic<bool> stop{false};
    std::atomic<unsigned long> reconnected{0};
    std::mutex mutex;
    std::vector<string> faults;
    const auto ask_on = [&] {
      using Clock = std::chrono::steady_clock;
      try {
        auto client = std::make_unique<Client>(server.tcp());
        auto answered = Clock::now();
        while (!stop) {
          // Whom the machine let wait has idled for longer than anybody has to wait for him.
          if (Clock::now() - answered > std::chrono::milliseconds(500)) {
            client = std::make_unique<Client>(server.tcp());
          }
          const Response response = client->ask(get("/"));
          answered = Clock::now();
          if (response.status != 200) throw std::runtime_error(response.body);
          if (response.field("Connection") == "close") {
            client = std::make_unique<Client>(server.tcp());
            ++reconnected;
          }
          std::this_thread::sleep_for(std::chrono::microseconds(200));
        }
      } catch (const std::exception& error) {
        const std::lock_guard lock(mutex);
        faults.emplace_back(error.what());
      }
    };
    std::vector<std::thread> clients;
    for (int i = 0; i < 4; ++i) clients.emplace_back(ask_on);
    Client idle(server.tcp());
    CHECK(idle.ask(get("/")).status == 200);
    for (int i = 0; i < (has_sanitizer() ? 4 : 20); ++i) {
      CHECK(run_sonicorn({"restart-worker", "--control", control}).ending.status == 0);
    }
    // By its own signal it is ended as gently.
    for (int i = 0; i < 4; ++i) {
      const pid_t worker = server.workers().front();
      ::kill(worker, SIGTERM);
      CHECK(eventually([&] { return server.has_replaced(worker, 2); }));
    }
    stop = true;
    for (std::thread& client : clients) client.join();
    CHECK_MESSAGE(faults.empty(), (faults.empty() ? string() : faults.front()));
    CHECK(reconnected > 0);
    // Who asks nothing any more is not waited for.
    CHECK(idle.read_to_end().empty());
  }
}
