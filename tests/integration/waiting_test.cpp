#include <csignal>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

#include "support/contract.hpp"
#include "support/reloading.hpp"
#include "support/support.hpp"

// What may never come is waited for only as long as it may take.

using namespace support;
using std::string;
using namespace std::chrono_literals;

namespace {

string path_setting(const string& key, const std::filesystem::path& path) {
  return key + " = \"" + path.string() + "\"";
}

// A server of one app that a test steers, and of one that always answers.
struct Waiting {
  explicit Waiting(const string& fixture_name, const string& tables = {},
                   const string& times = patient_times())
      : server({.toml = times + tables + contract.app("/", fixture_name, "app") +
                        app_entry("/other", "echo", "name = \"other\"\n"),
                .arguments = {"--control", control()}}) {
    server.expect_failure();
  }

  string control() const { return (contract.folder() / "control").string(); }
  Outcome operate(std::vector<string> arguments) const {
    arguments.insert(arguments.end(), {"--control", control()});
    return run_sonicorn(arguments);
  }

  Contract contract;
  Server server;
};

}  // namespace

TEST_SUITE("waiting") {
  TEST_CASE("a successor that does not come up leaves the app to the worker that serves it") {
    Waiting waiting("contract_plain",
                    "[workers]\ncrashes = 1\ncrash_time = 600\nbackoff = 0.001\n"
                    "backoff_most = 0.05\nmax_lifetime = 1\n");
    const pid_t worker = waiting.server.worker();
    waiting.contract.steer("app", "start=fail");
    waiting.contract.wait_for("app", "start", "end", 5);
    CHECK(ask(waiting.server.tcp(), get("/")).status == 200);
    CHECK(!has_logged(waiting.server.log(), {"quarantined"}));
    waiting.contract.steer("app", "");
    CHECK(eventually([&] { return waiting.server.has_replaced(worker); }));
    CHECK(ask(waiting.server.tcp(), get("/")).status == 200);
  }

  TEST_CASE("a worker that failed to start and does not end is ended, and another one starts") {
    const TemporaryFolder folder;
    const std::filesystem::path broken = folder / "broken";
    Server server({.toml = "[workers]\nbackoff = 0.001\n" +
                           app_entry("/", "fails_late",
                                     "settings = { " + path_setting("broken", broken) + " }")});
    server.expect_failure();
    write_file(broken, "");
    ::kill(server.worker(), SIGKILL);
    CHECK(logs(server, {"the database is away"}));
    std::filesystem::remove(broken);
    CHECK(logs(server, {"has said that it ends and does not"}));
    CHECK(eventually([&] { return ask(server.tcp(), get("/")).body == "well"; }));
  }

  TEST_CASE("a worker that is stopped while it starts is ended") {
    Waiting waiting("contract_plain", "[workers]\nbackoff = 0.001\n", "[limits]\nloop_time = 1\n");
    waiting.contract.steer("app", "start=hang");
    const pid_t first = waiting.server.worker();
    ::kill(first, SIGKILL);
    waiting.contract.wait_for("app", "start", "begin", 2);
    ::kill(waiting.server.worker(), SIGSTOP);
    waiting.contract.steer("app", "");
    CHECK(logs(waiting.server, {"has not answered the supervisor"}));
    CHECK(eventually([&] { return ask(waiting.server.tcp(), get("/")).status == 200; }));
  }

  TEST_CASE("an exchange does not wait for who hangs in drain, and no other generation runs") {
    Waiting waiting("contract_all", {}, "[lifecycle]\ncall_time = 0.5\n[reload]\nhold_time = 1\n");
    waiting.contract.steer("app", "drain=hang");
    CHECK(waiting.operate({"reload", "app"}).ending.status == 1);
    // Whatever became of it, one generation in one worker serves in the end.
    waiting.contract.steer("app", "");
    CHECK(eventually([&] { return ask(waiting.server.tcp(), get("/")).status == 200; }));
    CHECK(ask(waiting.server.tcp(), get("/other")).status == 200);
    waiting.contract.gate().put(4);
  }

  TEST_CASE("a stop while an exchange waits for requests begins at once") {
    Waiting waiting("contract_all", {}, "grace = 10\n[reload]\nhold_time = 600\n");
    waiting.contract.steer("app", "on_request=hang");
    Client slow(waiting.server.tcp());
    slow.send(get("/"));
    waiting.contract.wait_for("app", "on_request", "begin");
    std::thread operating([&] { CHECK(waiting.operate({"reload", "app"}).ending.status == 1); });
    waiting.contract.wait_for("app", "drain", "begin");
    waiting.server.process().send_signal(SIGTERM);
    CHECK(eventually([&] { return waiting.server.refuses_connections(); }));
    waiting.contract.gate().put();
    CHECK(slow.read_response().status == 200);
    operating.join();
    CHECK(waiting.server.ending().status == 0);
    CHECK(waiting.contract.calls("app", "shutdown").size() == 1);
  }

  TEST_CASE("a worker in which a static destructor hangs serves until another one does") {
    const TemporaryFolder folder;
    const Fifo entered(folder / "entered");
    const std::vector<string> control{"--control", (folder / "control").string()};
    Server server({.toml = "grace = 1\n[limits]\nloop_time = 0.5\n[lifecycle]\ncall_time = 0.5\n" +
                           app_entry("/hangs", "destructor_hangs",
                                     "name = \"hangs\"\nsettings = { " +
                                         path_setting("entered", entered.path()) + " }") +
                           app_entry("/", "echo", "name = \"other\"\n"),
                   .arguments = control});
    server.expect_failure();
    const pid_t worker = server.worker();
    const auto reload = [&](const string& app) {
      return run_sonicorn({"reload", app, control[0], control[1]}).ending.status;
    };
    CHECK(reload("hangs") == 0);
    entered.wait();
    std::size_t answered = 0;
    CHECK(eventually([&] {
      if (ask(server.tcp(), get("/")).status == 200) ++answered;
      return server.has_replaced(worker);
    }));
    CHECK(answered > 0);
    CHECK(logs(server, {"app hangs: its unloading runs for"}));
    CHECK(reload("other") == 0);
    CHECK(ask(server.tcp(), get("/")).status == 200);
    // The generation that serves has that destructor, too.
    server.process().send_signal(SIGTERM);
    entered.wait();
    CHECK(logs(server, {"app hangs: ended; it declares no shutdown"}));
    server.process().send_signal(SIGINT);
    CHECK(server.ending().status == 128 + SIGINT);
  }

  TEST_CASE("handlers that never return cost their worker, and no other app") {
    for (const auto& [fixture_name, hanging] :
         {std::pair{"contract_plain", 2}, std::pair{"contract_serial", 1}}) {
      CAPTURE(string(fixture_name));
      const Contract contract;
      Server server({.toml = "grace = 1\nblocking_threads = 4\n[limits]\nrequest_time = 2\n" +
                             contract.app("/app", fixture_name, "app") +
                             app_entry("/other", "echo")});
      server.expect_failure();
      const pid_t worker = server.worker();
      contract.steer("app", "on_request=hang");
      std::vector<std::unique_ptr<Client>> clients;
      for (int i = 0; i < hanging; ++i) {
        clients.push_back(std::make_unique<Client>(server.tcp()));
        clients.back()->send(get("/app"));
        contract.wait_for("app", "on_request", "begin", static_cast<std::size_t>(i) + 1);
      }
      contract.steer("app", "");
      CHECK(eventually([&] {
        CHECK(ask(server.tcp(), get("/other")).status == 200);
        return server.has_replaced(worker);
      }));
      CHECK(logs(server, {"app app: on_request holds up a thread of the pool for"}));
      for (const auto& client : clients) CHECK(client->read_response().status == 503);
      CHECK(ask(server.tcp(), get("/app")).status == 200);
    }
  }

  TEST_CASE("a worker whose log cannot be opened serves, and writes it as soon as it can be") {
    const TemporaryFolder folder;
    const std::filesystem::path logs_folder = folder / "logs";
    std::filesystem::create_directory(logs_folder);
    Server server(
        {.toml = "[workers]\nbackoff = 0.001\n" + app_entry("/", "echo", "name = \"app\"\n"),
         .arguments = {"--log-file", (logs_folder / "log").string(), "--access-log",
                       (logs_folder / "access").string()}});
    server.expect_failure();
    std::filesystem::rename(logs_folder, folder / "away");
    const pid_t before = server.worker();
    ::kill(before, SIGKILL);
    CHECK(eventually([&] {
      const auto now = server.workers();
      return now.size() == 1 && now[0] != before;
    }));
    CHECK(ask(server.tcp(), get("/asked")).status == 200);
    std::filesystem::create_directory(logs_folder);
    CHECK(eventually([&] {
      return read_file(logs_folder / "access").find("/asked") != string::npos &&
             read_file(logs_folder / "log").find("app app: generation 1 serves") != string::npos;
    }));
  }

  TEST_CASE("with several threads as many connections are served as the limit says") {
    Waiting waiting("contract_all", {},
                    "threads = 4\nblocking_threads = 32\n[limits]\nconnections = 20\n");
    waiting.contract.steer("app", "on_request=hang");
    std::vector<Client> busy;
    for (std::size_t i = 1; i <= 20; ++i) {
      busy.emplace_back(waiting.server.tcp());
      busy.back().send(get("/"));
      waiting.contract.wait_for("app", "on_request", "begin", i);
    }
    std::vector<Client> refused;
    for (int i = 0; i < 60; ++i) {
      refused.emplace_back(waiting.server.tcp());
      CHECK(refused.back().read_response().status == 503);
    }
    waiting.contract.gate().put(20);
    for (Client& each : busy) CHECK(each.read_response().status == 200);
  }

  TEST_CASE("health is answered below a path of the apps' addresses") {
    const TemporaryFolder folder;
    const string control = (folder / "control").string();
    Server server(
        {.toml = "health_path = \"/-/health\"\n" + app_entry("/", "echo", "name = \"app\"\n"),
         .arguments = {"--workers", "2", "--control", control}});
    CHECK(ask(server.tcp(), get("/-/health/livez")).body == "alive\n");
    CHECK(eventually([&] { return ask(server.tcp(), get("/-/health/readyz")).body == "ready\n"; }));
    CHECK(ask(server.tcp(), get("/-/health/other")).status == 503);
    CHECK(ask(server.tcp(), get("/-/healthy")).status == 200);
    CHECK(run_sonicorn({"drain", "--control", control}).ending.status == 0);
    const Response drained = ask(server.tcp(), get("/-/health/readyz"));
    CHECK(drained.status == 503);
    CHECK(drained.body == "not ready: the server is draining\n");
    CHECK(ask(server.tcp(), get("/-/health/livez")).status == 200);
  }
}
