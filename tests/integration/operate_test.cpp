#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <sstream>
#include <thread>

#include "support/contract.hpp"
#include "support/support.hpp"

// What the operator asks a running server, and what the server tells the operator's programs.

using namespace support;
using std::string;

namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

// A server with the operator's socket at a known place.
class Operated {
 public:
  explicit Operated(const string& toml)
      : server_({.toml = toml, .arguments = {"--control", control()}}) {}

  Server& server() { return server_; }
  string control() const { return (folder_ / "control").string(); }
  Outcome run(std::vector<string> arguments) const {
    arguments.insert(arguments.end(), {"--control", control()});
    return run_sonicorn(std::move(arguments));
  }
  Json json(std::vector<string> arguments) const {
    arguments.push_back("--json");
    const Outcome outcome = run(std::move(arguments));
    CHECK(outcome.ending.status == 0);
    return Json::parse(outcome.output);
  }

 private:
  TemporaryFolder folder_;
  Server server_;
};

// The socket that systemd would listen on.
class NotifySocket {
 public:
  explicit NotifySocket(const std::filesystem::path& path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
    fd_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    REQUIRE(::bind(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
    const timeval limit{static_cast<time_t>(kPatience.count() / 1000), 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
  }
  ~NotifySocket() { ::close(fd_); }
  NotifySocket(const NotifySocket&) = delete;
  NotifySocket& operator=(const NotifySocket&) = delete;

  // The next message that contains the text; throws when none comes.
  string wait_for(const string& text) const {
    for (;;) {
      std::array<char, 4096> buffer;
      const ssize_t size = ::recv(fd_, buffer.data(), buffer.size(), 0);
      if (size < 0 && errno == EINTR) continue;
      if (size < 0) throw std::runtime_error("systemd was not told " + text);
      const string message(buffer.data(), static_cast<std::size_t>(size));
      if (message.find(text) != string::npos) return message;
    }
  }

 private:
  int fd_ = -1;
};

string path_setting(const string& key, const std::filesystem::path& path) {
  return key + " = \"" + path.string() + "\"";
}

// A command that adds its name and what it is told to a file.
string recording(const std::filesystem::path& file) {
  return "\"{ cat; echo; } >> " + file.string() + "\"\n";
}

std::vector<Json> told(const std::filesystem::path& file) {
  std::vector<Json> all;
  std::istringstream lines(read_file(file));
  for (string line; std::getline(lines, line);) {
    if (!line.empty()) all.push_back(Json::parse(line));
  }
  return all;
}

}  // namespace

TEST_SUITE("operate") {
  TEST_CASE("status, workers and apps tell a person and a program how the server is") {
    Operated operated("workers = 2\n[limits]\nqueue = 7\n" +
                      app_entry("/", "echo", "name = \"echo\"\n"));
    Server& server = operated.server();
    for (int i = 0; i < 10; ++i) REQUIRE(ask(server.tcp(), get("/")).status == 200);
    const Json status = operated.json({"status"});
    CHECK(status["pid"] == server.process().id());
    CHECK(status["ready"] == true);
    CHECK(status["state"] == "serving");
    CHECK(status["workers"] == 2);
    CHECK(status["listening"].size() == 2);
    CHECK(operated.run({"status"}).output.find("serving, ready") != string::npos);
    const Json workers = operated.json({"workers"});
    REQUIRE(workers.size() == 2);
    CHECK(workers[0]["requests"].get<int>() + workers[1]["requests"].get<int>() == 10);
    CHECK(workers[0]["resident_bytes"].get<std::int64_t>() > 1'000'000);
    CHECK(operated.run({"workers"}).output.find("REQUESTS") != string::npos);
    const Json apps = operated.json({"apps"});
    REQUIRE(apps.size() == 1);
    CHECK(apps[0]["name"] == "echo");
    CHECK(apps[0]["requests"] == 10);
    CHECK(apps[0]["errors"] == 0);
    CHECK(apps[0]["crashes"] == 0);
    CHECK(apps[0]["in_flight"] == 0);
    CHECK(apps[0]["generation"] == 1);
    CHECK(apps[0]["build_id"].get<string>().size() == 40);
    CHECK(apps[0]["workers"].size() == 2);
    CHECK(operated.run({"apps"}).output.find("echo declares") != string::npos);
  }

  TEST_CASE("requests in flight are seen") {
    const TemporaryFolder folder;
    const Fifo entered(folder / "entered");
    const Fifo gate(folder / "gate");
    Operated operated(app_entry("/", "gated",
                                "settings = { " + path_setting("entered", entered.path()) + ", " +
                                    path_setting("gate", gate.path()) + " }"));
    Client client(operated.server().tcp());
    client.send(get("/"));
    entered.wait();
    CHECK(operated.json({"apps"})[0]["in_flight"] == 1);
    gate.put();
    CHECK(client.read_response().status == 200);
    wait_for_answer({{}, {}, operated.control()}, get("/apps"),
                    [](int, const string& body) { return Json::parse(body)[0]["in_flight"] == 0; });
  }

  TEST_CASE("a worker is replaced on demand while clients ask, and none fails") {
    Operated operated("workers = 2\n" + app_entry("/", "echo"));
    Server& server = operated.server();
    const auto before = server.workers();
    std::atomic<bool> done{false};
    std::atomic<int> failed{0};
    std::atomic<int> answered{0};
    std::thread load([&] {
      while (!done) {
        try {
          if (ask(server.tcp(), get("/")).status != 200) ++failed;
          ++answered;
        } catch (const std::exception&) {
          ++failed;
        }
      }
    });
    CHECK(operated.run({"restart-worker", "1"}).ending.status == 0);
    CHECK(operated.run({"restart-worker"}).ending.status == 0);
    done = true;
    load.join();
    CHECK(failed == 0);
    CHECK(answered > 0);
    for (const pid_t old : before) {
      for (const pid_t now : server.workers()) CHECK(now != old);
    }
    const Outcome unknown = operated.run({"restart-worker", "9"});
    CHECK(unknown.ending.status == 1);
    CHECK(unknown.errors.find("no worker 9") != string::npos);
  }

  TEST_CASE("a server that is drained is not ready, and serves who comes all the same") {
    Operated operated(app_entry("/", "echo"));
    const Endpoint control{{}, {}, operated.control()};
    CHECK(ask(control, get("/readyz")).status == 200);
    CHECK(operated.run({"drain"}).ending.status == 0);
    const Response after = ask(control, get("/readyz"));
    CHECK(after.status == 503);
    CHECK(after.body.find("draining") != string::npos);
    CHECK(ask(operated.server().tcp(), get("/")).status == 200);
  }

  TEST_CASE("an app that is drained is told so, answers 503, and the others go on") {
    const Contract contract;
    Operated operated("workers = 2\n" + patient_times() +
                      contract.app("/a", "contract_all", "one") + app_entry("/", "echo"));
    const Outcome drained = operated.run({"drain", "one"});
    CHECK(drained.errors == "");
    CHECK(drained.ending.status == 0);
    CHECK(contract.calls("one", "drain", "end").size() == 2);
    for (int i = 0; i < 10; ++i) CHECK(ask(operated.server().tcp(), get("/a")).status == 503);
    CHECK(ask(operated.server().tcp(), get("/")).status == 200);
    const Outcome unknown = operated.run({"drain", "nobody", "--json"});
    CHECK(unknown.ending.status == 1);
    CHECK(Json::parse(unknown.output)["ok"] == false);
    CHECK(unknown.errors.find("nobody") != string::npos);
  }

  TEST_CASE("a name is the name of an app, whatever is in it") {
    Operated operated(app_entry("/", "echo"));
    const string name = "no body?&app=echo/\xc3\xa4\r\n";
    for (const char* const command : {"drain", "reload", "rollback", "commit", "unquarantine"}) {
      CAPTURE(string(command));
      const Outcome unknown = operated.run({command, name});
      CHECK(unknown.ending.status == 1);
      CHECK(unknown.errors.find("no body?&app=echo/\xc3\xa4") != string::npos);
      const Outcome empty = operated.run({command, ""});
      CHECK(empty.ending.status == 2);
      CHECK(empty.errors.find("the name of the app is empty") != string::npos);
    }
    CHECK(operated.run({"history", name}).ending.status == 0);
    CHECK(ask(operated.server().tcp(), get("/")).status == 200);
    CHECK(ask(Endpoint{{}, {}, operated.control()}, get("/readyz")).status == 200);
  }

  TEST_CASE("stop returns when the server has ended, with how it ended") {
    const Contract contract;
    Operated operated("workers = 2\n" + patient_times() + contract.app("/", "contract_all", "one"));
    const Outcome stopped = operated.run({"stop"});
    CHECK(stopped.ending.status == 0);
    // Another server may have it.
    CHECK(!std::filesystem::exists(operated.control()));
    CHECK(contract.calls("one", "shutdown", "end").size() == 2);
    CHECK(operated.server().ending().status == 0);
    CHECK(operated.run({"status"}).ending.status == 1);
  }

  TEST_CASE("the only server that runs is found without being named") {
    const TemporaryFolder runtime;
    ::chmod(runtime.path().c_str(), 0700);
    const Process::Environment environment{{"RUNTIME_DIRECTORY", runtime.path()}};
    Process server(
        {executable(), "serve", fixture("echo"), "--bind", "unix:" + (runtime / "s").string()},
        environment);
    REQUIRE(server.wait_for_errors("listening on"));
    const Outcome outcome = run_sonicorn({"status", "--json"}, environment);
    // Others may run for this user, in the other folders.
    if (outcome.ending.status == 0) {
      CHECK(Json::parse(outcome.output)["pid"] == server.id());
    } else {
      CHECK(outcome.errors.find(std::to_string(server.id()) + ".sock") != string::npos);
    }
    struct stat found {};
    const auto socket = runtime / (std::to_string(server.id()) + ".sock");
    REQUIRE(::stat(socket.c_str(), &found) == 0);
    CHECK((found.st_mode & 0777) == 0600);
    server.send_signal(SIGTERM);
    CHECK(server.wait()->status == 0);
    CHECK(!std::filesystem::exists(socket));
  }

  TEST_CASE("health is answered on an address of its own") {
    const TemporaryFolder folder;
    const Endpoint health{{}, {}, folder / "health"};
    const Contract contract;
    contract.steer("app", "drain=hang");
    Server server({.toml = "health = \"unix:" + health.path.string() + "\"\n" + patient_times() +
                           contract.app("/", "contract_all", "app")});
    CHECK(ask(health, get("/livez")).status == 200);
    CHECK(ask(health, get("/readyz")).status == 200);
    CHECK(ask(health, get("/apps")).status == 404);
    CHECK(ask(health, "POST /stop HTTP/1.1\r\nHost: a\r\n\r\n").status == 405);
    server.process().send_signal(SIGTERM);
    contract.wait_for("app", "drain", "begin");
    CHECK(ask(health, get("/readyz")).status == 503);
    CHECK(ask(health, get("/livez")).status == 200);
    contract.gate().put();
    CHECK(server.ending().status == 0);
  }

  TEST_CASE("hooks hear of the life of the server in order, with what it is about") {
    const TemporaryFolder folder;
    const auto file = folder / "told";
    string toml = "[hooks]\n";
    for (const char* const hook :
         {"on_starting", "when_ready", "on_reload", "pre_spawn", "post_spawn", "worker_ready",
          "worker_stopping", "worker_exit", "nworkers_changed", "on_exit"}) {
      toml += string(hook) + " = " + recording(file);
    }
    {
      Server server({.toml = toml + app_entry("/", "echo")});
      server.process().send_signal(SIGTTIN);
      CHECK(logs(server, {"worker 1 serves"}));
      ::kill(server.worker(), SIGKILL);
      CHECK(logs(server, {"worker 0", "SIGKILL"}));
      CHECK(logs(server, {"worker 0 serves"}));
      CHECK(server.stop().status == 0);
    }
    std::vector<string> hooks;
    for (const Json& each : told(file)) {
      hooks.push_back(each["hook"]);
      CHECK(each["pid"].is_number());
      if (hooks.back() == "nworkers_changed") CHECK(each["workers"] == 2);
      if (hooks.back() == "worker_exit" && each.contains("signal")) {
        CHECK(each["signal"] == "SIGKILL");
      }
    }
    REQUIRE(hooks.size() >= 10);
    CHECK(hooks.front() == "on_starting");
    CHECK(hooks[1] == "pre_spawn");
    CHECK(hooks.back() == "on_exit");
    for (const char* const hook : {"when_ready", "post_spawn", "worker_ready", "worker_stopping",
                                   "worker_exit", "nworkers_changed"}) {
      CAPTURE(string(hook));
      CHECK(std::count(hooks.begin(), hooks.end(), hook) > 0);
    }
  }

  TEST_CASE("a hook that says no keeps the server from starting, and one that hangs is cut off") {
    const TemporaryFolder folder;
    write_file(folder / "no",
               "load_time = 60\n[hooks]\non_starting = \"echo not today; exit 3\"\n" +
                   app_entry("/", "echo"));
    const Outcome no =
        run_sonicorn({"serve", "--bind", "127.0.0.1:0", "-c", (folder / "no").string()});
    CHECK(no.ending.status == 1);
    CHECK(has_logged(no.errors, {"on_starting", "not today"}));
    Server server({.toml = "[hooks]\nwhen_ready = { command = \"sleep 1000\", time = 0.2 }\n"
                           "worker_ready = \"exit 1\"\n" +
                           app_entry("/", "echo")});
    CHECK(ask(server.tcp(), get("/")).status == 200);
    CHECK(logs(server, {"when_ready"}));
    CHECK(logs(server, {"worker_ready", "1"}));
  }

  TEST_CASE("systemd is told when the server is ready, reloads, and stops, and that it lives") {
    const TemporaryFolder folder;
    const NotifySocket systemd(folder / "notify");
    write_file(folder / "toml", "load_time = 60\n" + app_entry("/", "echo"));
    Process server(
        {executable(), "serve", "--bind", "127.0.0.1:0", "-c", (folder / "toml").string()},
        {{"NOTIFY_SOCKET", folder / "notify"}, {"WATCHDOG_USEC", "200000"}});
    systemd.wait_for("READY=1");
    CHECK(server.wait_for_errors("listening on"));
    systemd.wait_for("WATCHDOG=1");
    systemd.wait_for("WATCHDOG=1");
    server.send_signal(SIGHUP);
    CHECK(systemd.wait_for("RELOADING=1").find("MONOTONIC_USEC=") != string::npos);
    systemd.wait_for("READY=1");
    server.send_signal(SIGTTIN);
    systemd.wait_for("STATUS=serving with 2");
    server.send_signal(SIGTERM);
    systemd.wait_for("STOPPING=1");
    CHECK(server.wait()->status == 0);
  }

  TEST_CASE("SIGUSR1 opens the log files again, those of the workers included") {
    const TemporaryFolder folder;
    const string access = (folder / "access").string();
    const string log = (folder / "log").string();
    const string control = (folder / "control").string();
    Server server({.toml = "threads = 1\n" + app_entry("/", "echo"),
                   .arguments = {"--access-log", access, "--log-file", log, "--control", control}});
    CHECK(ask(server.tcp(), get("/before")).status == 200);
    // A line is written when the thread has a moment, which is after the answer.
    const auto deadline = Clock::now() + kPatience;
    while (read_file(access).empty() && Clock::now() < deadline) std::this_thread::yield();
    std::filesystem::rename(access, access + ".1");
    std::filesystem::rename(log, log + ".1");
    server.process().send_signal(SIGUSR1);
    while (!std::filesystem::exists(access) && Clock::now() < deadline) std::this_thread::yield();
    // What answers a question has dealt with what it was told before.
    CHECK(run_sonicorn({"workers", "--control", control}).ending.status == 0);
    CHECK(ask(server.tcp(), get("/after")).status == 200);
    CHECK(server.stop().status == 0);
    CHECK(read_file(access + ".1").find("/before") != string::npos);
    CHECK(read_file(access + ".1").find("/after") == string::npos);
    CHECK(read_file(access).find("/after") != string::npos);
    CHECK(read_file(log + ".1").find("listening on") != string::npos);
    CHECK(read_file(log).find("stopped") != string::npos);
  }

  TEST_CASE("a socket that was activated is served, and stays who opened it") {
    if (::access("/usr/bin/systemd-socket-activate", X_OK) != 0) {
      MESSAGE("skipped: there is no systemd-socket-activate");
      return;
    }
    const TemporaryFolder folder;
    const Endpoint socket{{}, {}, folder / "s"};
    Process server({"/usr/bin/systemd-socket-activate", "-l", socket.path.string(),
                    "--setenv=TMPDIR=" + folder.path().string(), executable(), "serve",
                    fixture("echo"), "--control", (folder / "control").string()});
    REQUIRE(server.wait_for_errors("Listening on " + socket.path.string()));
    for (int i = 0; i < 3; ++i) CHECK(ask(socket, get("/")).status == 200);
    CHECK(server.wait_for_errors("listening on unix:" + socket.path.string()));
    server.send_signal(SIGTERM);
    CHECK(server.wait()->status == 0);
  }

  TEST_CASE("the server becomes another user once its addresses are bound, workers included") {
    if (::geteuid() != 0) {
      MESSAGE("skipped: only root can become another user");
      return;
    }
    const TemporaryFolder folder;
    ::chmod(folder.path().c_str(), 0755);
    Process server({executable(), "serve", fixture("echo"), "--no-check-owners", "--bind",
                    "127.0.0.1:0", "--user", "nobody", "--pid-file", (folder / "pid").string(),
                    "--control", (folder / "control").string(), "--log-file",
                    (folder / "log").string(), "--access-log", (folder / "access").string()},
                   {{"TMPDIR", "/tmp"}});
    // Whoever it is, the workers write to it.
    const auto log = [&] { return read_file(folder / "log"); };
    if (!eventually([&] { return log().find("listening on") != string::npos; })) {
      FAIL("the server's log:\n" << server.errors() << log());
    }
    CHECK(log().find("app echo: generation 1 serves") != string::npos);
    CHECK(read_file(folder / "pid") == std::to_string(server.id()) + "\n");
    const string own = std::to_string(server.id());
    std::vector<string> all;
    // The child that made the copies is on the list until the kernel has let go of it.
    CHECK(eventually([&] {
      std::istringstream children(read_file("/proc/" + own + "/task/" + own + "/children"));
      all = {own};
      for (string child; children >> child;) all.push_back(child);
      return all.size() == 2;
    }));
    for (const string& each : all) {
      const string status = read_file("/proc/" + each + "/status");
      CHECK(status.find("Uid:\t65534\t65534\t65534\t65534") != string::npos);
      CHECK(status.find("NoNewPrivs:\t1") != string::npos);
      CHECK(status.find("CapEff:\t0000000000000000") != string::npos);
    }
    server.send_signal(SIGTERM);
    CHECK(server.wait()->status == 0);
  }
}
