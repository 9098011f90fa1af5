#include <csignal>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>
#include <utility>
#include <vector>

#include "support/contract.hpp"
#include "support/reloading.hpp"
#include "support/support.hpp"

// What ends, and whom that may concern: apps, workers, hooks, the server, and what they leave.

using namespace support;
using std::string;
using namespace std::chrono_literals;

namespace {

pid_t process_in(const std::filesystem::path& file) {
  CHECK(eventually([&] { return read_file(file).ends_with("\n"); }));
  return std::stoi(read_file(file));
}

struct Operated {
  explicit Operated(const string& toml)
      : server({.toml = toml, .arguments = {"--control", control()}}) {
    server.expect_failure();
  }

  string control() const { return (folder / "control").string(); }
  Outcome operate(std::vector<string> arguments) const {
    arguments.insert(arguments.end(), {"--control", control()});
    return run_sonicorn(arguments);
  }
  string ask_operator(const string& target) const {
    return ask(Endpoint{{}, {}, control()}, get(target)).body;
  }

  TemporaryFolder folder;
  Server server;
};

}  // namespace

TEST_SUITE("ends") {
  TEST_CASE("an app leaves the pool though a handler of another one runs") {
    const TemporaryFolder folder;
    const Fifo entered(folder / "entered");
    const Fifo gate(folder / "gate");
    Operated operated(app_entry("/slow", "slow",
                                "settings = { entered = \"" + entered.path().string() +
                                    "\", gate = \"" + gate.path().string() + "\" }") +
                      app_entry("/", "tally_one", "name = \"tally\"\n"));
    Client slow(operated.server.tcp());
    slow.send(get("/slow"));
    entered.wait();
    CHECK(ask(operated.server.tcp(), get("/")).status == 200);
    CHECK(operated.operate({"reload", "tally"}).ending.status == 0);
    CHECK(operated.operate({"drain", "tally"}).ending.status == 0);
    gate.put();
    CHECK(slow.read_response().status == 200);
  }

  TEST_CASE("a candidate that outlives its time is not blamed on what serves") {
    const Contract contract;
    Operated operated(
        "[lifecycle]\nstart_time = 1\n[workers]\ncount = 2\ncrashes = 0\nbackoff = 2\n" +
        contract.app("/", "contract_plain", "app", {}, "overrun = \"kill\""));
    contract.steer("app", "start=hang");
    CHECK(operated.operate({"reload", "app"}).ending.status == 1);
    contract.steer("app", "");
    contract.gate().put();
    CHECK(logs(operated.server, {"app app: start runs for"}));
    CHECK(!has_logged(operated.server.log(), {"quarantined"}));
    CHECK(eventually([&] { return operated.server.workers().size() == 2; }));
    for (int i = 0; i < 20; ++i) CHECK(ask(operated.server.tcp(), get("/")).status == 200);
  }

  TEST_CASE("a call behind one that never returns is not waited for") {
    const TemporaryFolder folder;
    write_file(folder / "toml", "grace = 1\n[lifecycle]\nhealth_time = 0.3\ncall_time = 0.3\n" +
                                    app_entry("/", "timer_hangs"));
    const Outcome outcome =
        run_sonicorn({"serve", "--bind", "127.0.0.1:0", "-c", (folder / "toml").string()});
    CHECK(outcome.ending.status == 1);
    CHECK(outcome.errors.find("health did not return within its time") != string::npos);
  }

  TEST_CASE("an orphan ends whatever a static destructor of its app does") {
    const TemporaryFolder folder;
    const Fifo entered(folder / "entered");
    pid_t worker = 0;
    {
      Operated operated(app_entry("/", "destructor_hangs",
                                  "settings = { entered = \"" + entered.path().string() + "\" }"));
      worker = operated.server.worker();
      operated.server.stop(SIGKILL);
    }
    CHECK(eventually([&] { return !lives(worker); }));
  }

  TEST_CASE("a second signal ends a server that waits for a hook, and hooks end with it") {
    const TemporaryFolder folder;
    const string file = (folder / "pid").string();
    for (const bool twice : {true, false}) {
      CAPTURE(twice);
      std::filesystem::remove(file);
      const string hook =
          " = { command = \"echo $$ > " + file + "; exec sleep 1000\", time = 1000 }\n";
      write_file(folder / "toml", "[hooks]\n" + string(twice ? "on_exit" : "on_starting") + hook +
                                      app_entry("/", "echo"));
      Process server(
          {executable(), "serve", "--bind", "127.0.0.1:0", "-c", (folder / "toml").string()});
      if (twice) {
        CHECK(server.wait_for_errors("listening on"));
        server.send_signal(SIGTERM);
      }
      const pid_t hook_process = process_in(file);
      server.send_signal(twice ? SIGINT : SIGTERM);
      const auto end = server.wait();
      REQUIRE(end.has_value());
      CHECK(end->status == (twice ? 128 + SIGINT : 0));
      CHECK(eventually([&] { return !lives(hook_process); }));
    }
  }

  TEST_CASE("where a crash keeps the server from starting is told before it ends") {
    const TemporaryFolder folder;
    write_file(folder / "toml",
               "load_time = 60\n" +
                   app_entry("/", "crashes", "settings = { in = \"start\", how = \"segv\" }"));
    const Outcome outcome =
        run_sonicorn({"serve", "--bind", "127.0.0.1:0", "-c", (folder / "toml").string()});
    CHECK(outcome.ending.status == 1);
    CHECK(outcome.errors.find("crashed at") != string::npos);
  }

  TEST_CASE("a worker does not heed the signals that are for the supervisor") {
    Operated operated(app_entry("/", "echo"));
    const pid_t worker = operated.server.worker();
    for (const int number : {SIGTTIN, SIGTTOU, SIGHUP, SIGUSR1}) ::kill(worker, number);
    for (int i = 0; i < 20; ++i) CHECK(ask(operated.server.tcp(), get("/")).status == 200);
    CHECK(operated.server.worker() == worker);
  }

  TEST_CASE("a signal that all processes get is one wish, and cuts nothing short") {
    for (const auto& [worker_first, number] :
         {std::pair{true, SIGTERM}, std::pair{true, SIGINT}, std::pair{false, SIGTERM}}) {
      CAPTURE(worker_first);
      CAPTURE(number);
      const TemporaryFolder folder;
      const Fifo entered(folder / "entered");
      const Fifo gate(folder / "gate");
      Server server({.toml = app_entry("/slow", "slow",
                                       "settings = { entered = \"" + entered.path().string() +
                                           "\", gate = \"" + gate.path().string() + "\" }") +
                             app_entry("/", "echo")});
      Client idle(server.tcp());
      CHECK(idle.ask(get("/")).status == 200);
      Client slow(server.tcp());
      slow.send(get("/slow"));
      entered.wait();
      const pid_t worker = server.worker();
      if (!worker_first) server.process().send_signal(number);
      ::kill(worker, SIGTERM);
      if (worker_first) {
        CHECK(logs(server, {"SIGTERM: stopping this worker"}));
        server.process().send_signal(number);
        CHECK(idle.read_to_end().empty());
      }
      CHECK(server.refuses_connections());
      gate.put();
      CHECK(slow.read_response().status == 200);
      CHECK(server.ending().status == 0);
    }
  }

  TEST_CASE("whoever has connected is answered when the server stops, though there is no place") {
    const TemporaryFolder folder;
    const Fifo entered(folder / "entered");
    const Fifo gate(folder / "gate");
    Server server({.toml = "threads = 1\n[limits]\nconnections = 1\n" +
                           app_entry("/slow", "slow",
                                     "settings = { entered = \"" + entered.path().string() +
                                         "\", gate = \"" + gate.path().string() + "\" }") +
                           app_entry("/", "echo")});
    Client slow(server.tcp());
    slow.send(get("/slow"));
    entered.wait();
    // More than are queued; the others wait in the kernel.
    std::vector<Client> clients;
    for (int i = 0; i < 100; ++i) {
      clients.emplace_back(server.tcp());
      clients.back().send(get("/"));
    }
    server.process().send_signal(SIGTERM);
    for (Client& client : clients) {
      const int status = client.read_response().status;
      CHECK((status == 200 || status == 503));
    }
    gate.put();
    CHECK(slow.read_response().status == 200);
    CHECK(server.ending().status == 0);
  }

  TEST_CASE("lines that an ended worker could not write stay counted, and are told") {
    Operated operated("access_log = \"/dev/full\"\n" + app_entry("/", "echo"));
    for (int i = 0; i < 50; ++i) CHECK(ask(operated.server.tcp(), get("/")).status == 200);
    CHECK(operated.operate({"restart-worker"}).ending.status == 0);
    const string metrics = operated.ask_operator("/metrics");
    CHECK_MESSAGE(metrics.find("sonicorn_access_log_lines_dropped_total 50\n") != string::npos,
                  metrics);
    CHECK(logs(operated.server, {"access log: 50 line(s) were dropped"}));
  }

  TEST_CASE("requests that were answered before a crash are in the access log") {
    const TemporaryFolder folder;
    const string file = (folder / "access").string();
    Operated operated("threads = 1\naccess_log = \"" + file + "\"\n[workers]\nbackoff = 0.001\n" +
                      app_entry("/", "crashes_inline"));
    for (int round = 1; round <= 3; ++round) {
      Client client(operated.server.tcp());
      for (int i = 0; i < 20; ++i) CHECK(client.ask(get("/")).status == 200);
      client.send(get("/segv"));
      client.read_to_end();
      CHECK(read_lines(file).size() == static_cast<std::size_t>(20 * round));
    }
  }

  TEST_CASE("what a reload does not change is named") {
    const TemporaryFolder folder;
    const string file = (folder / "toml").string();
    const string apps = app_entry("/", "echo");
    write_file(file, "load_time = 60\n" + apps);
    Process server({executable(), "serve", "--bind", "127.0.0.1:0", "-c", file});
    CHECK(server.wait_for_errors("listening on"));
    write_file(file, "load_time = 60\nlog_level = \"debug\"\nhealth = \"127.0.0.1:0\"\n" + apps);
    server.send_signal(SIGHUP);
    CHECK(server.wait_for_errors(
        "what changed of health, log_level takes effect when the server is restarted"));
    server.send_signal(SIGTERM);
    CHECK(server.wait()->status == 0);
  }

  TEST_CASE("an unquarantine that fails half-way leaves the app in quarantine everywhere") {
    const TemporaryFolder folder;
    const std::filesystem::path no = folder / "no";
    Operated operated("[workers]\ncount = 2\ncrashes = 0\nbackoff = 0.001\n[hooks]\n" +
                      string("pre_spawn = '''grep -q '\"worker\": *1[,}]' && test -e ") +
                      no.string() + " && exit 1; exit 0'''\n" + app_entry("/", "crashes"));
    const auto check_all = [&](int status) {
      for (int i = 0; i < 20; ++i) {
        CHECK(ask(operated.server.tcp(), get("/")).status == status);
      }
    };
    CHECK_THROWS(ask(operated.server.tcp(), get("/segv")));
    CHECK(logs(operated.server, {"it is quarantined"}));
    CHECK(eventually([&] { return operated.server.workers().size() == 2; }));
    CHECK(eventually(
        [&] { return operated.ask_operator("/readyz").find("is quarantined") != string::npos; }));
    // What answers a question has dealt with what it was told before.
    CHECK(operated.operate({"apps"}).ending.status == 0);
    check_all(503);
    write_file(no, "");
    CHECK(operated.operate({"unquarantine", "crashes"}).ending.status == 1);
    check_all(503);
    std::filesystem::remove(no);
    CHECK(operated.operate({"unquarantine", "crashes"}).ending.status == 0);
    check_all(200);
  }
}
