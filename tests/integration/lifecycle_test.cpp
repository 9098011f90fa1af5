#include <algorithm>
#include <nlohmann/json.hpp>

#include "support/support.hpp"

// From start to shutdown: each exactly once, in order, on one thread; and what becomes of requests
// meanwhile.

using namespace support;
using nlohmann::json;
using std::string;
using namespace std::chrono_literals;

namespace {

string journal_settings(const std::filesystem::path& journal, const string& more = {}) {
  return "settings = { journal = \"" + journal.string() + "\"" + more + " }";
}

std::vector<json> journal_of(const std::filesystem::path& file) {
  std::vector<json> lines;
  for (const string& line : read_lines(file)) lines.push_back(json::parse(line));
  return lines;
}

std::vector<string> calls_of(const std::vector<json>& journal) {
  std::vector<string> calls;
  for (const json& line : journal) calls.push_back(line["call"]);
  return calls;
}

}  // namespace

TEST_SUITE("lifecycle") {
  TEST_CASE("start and shutdown once each, on one thread, with what the stop was for") {
    const std::pair<int, int> stops[] = {{SIGTERM, 1}, {SIGINT, 2}, {SIGQUIT, 3}};
    for (const auto& stop : stops) {
      const int signal = stop.first;
      CAPTURE(signal);
      const TemporaryFolder folder;
      Server server(
          {.toml = "grace = 5\n" + app_entry("/", "journal", journal_settings(folder / "j"))});
      CHECK(ask(server.tcp(), get("/")).body == "journal\n");
      const Ending ending = server.stop(signal);
      CHECK(ending.signal == 0);
      CHECK(ending.status == 0);
      const auto journal = journal_of(folder / "j");
      REQUIRE(calls_of(journal) ==
              std::vector<string>{"start", "on_request", "shutdown", "destructor"});
      const json& start = journal[0];
      const json& request = journal[1];
      const json& shutdown = journal[2];
      CHECK(shutdown["thread"] == start["thread"]);
      CHECK(shutdown["role"] == 1);
      CHECK(start["role"] == 1);
      CHECK(request["role"] == 3);
      CHECK(request["thread"] != start["thread"]);
      CHECK(shutdown["reason"] == stop.second);
      CHECK(shutdown["signal"] == signal);
      CHECK(shutdown["deadline_ms"] > 0);
      CHECK(shutdown["deadline_ms"] <= 60'000);
      CHECK(shutdown["event"] == "shutdown");
      CHECK(start["event"] == "start");
      CHECK(start["reason"] == 0);
      CHECK(start["signal"] == 0);
      CHECK(start["generation"] == 1);
      for (const json& line : {start, request, shutdown}) {
        CHECK(line["state"] == true);
        CHECK(line["context_thread"] == line["thread"]);
        CHECK(line["context_pid"] == line["pid"]);
        CHECK(line["process_role"] == 1);
      }
    }
  }

  TEST_CASE("shutdown comes also when no request was ever served") {
    const TemporaryFolder folder;
    Server server({.toml = app_entry("/", "journal", journal_settings(folder / "j"))});
    CHECK(server.stop().status == 0);
    CHECK(calls_of(journal_of(folder / "j")) ==
          std::vector<string>{"start", "shutdown", "destructor"});
  }

  TEST_CASE("every app is shut down, each on its own thread") {
    const TemporaryFolder folder;
    string toml;
    for (int i = 0; i < 5; ++i) {
      const string name = "app" + std::to_string(i);
      toml += app_entry("/" + name, "journal", journal_settings(folder / name));
    }
    Server server({.toml = toml});
    CHECK(server.stop().status == 0);
    std::vector<long> threads;
    for (int i = 0; i < 5; ++i) {
      const auto journal = journal_of(folder / ("app" + std::to_string(i)));
      REQUIRE(calls_of(journal) == std::vector<string>{"start", "shutdown", "destructor"});
      threads.push_back(journal[1]["thread"]);
    }
    std::sort(threads.begin(), threads.end());
    CHECK(std::unique(threads.begin(), threads.end()) == threads.end());
  }

  TEST_CASE("a request in flight is finished before shutdown, and nobody new is let in") {
    const TemporaryFolder folder;
    const Fifo entered(folder / "entered");
    const Fifo gate(folder / "gate");
    Server server({.toml = app_entry("/", "slow",
                                     "settings = { entered = \"" + entered.path().string() +
                                         "\", gate = \"" + gate.path().string() + "\" }") +
                           app_entry("/j", "journal", journal_settings(folder / "j"))});
    Client idle(server.tcp());
    CHECK(idle.ask(get("/j")).status == 200);
    Client in_flight(server.tcp());
    in_flight.send(get("/"));
    entered.wait();
    server.process().send_signal(SIGTERM);
    REQUIRE(server.refuses_connections());
    CHECK(idle.closes());
    CHECK(!in_flight.readable(0ms));
    gate.put();
    const Response response = in_flight.read_response();
    CHECK(response.body == "slow\n");
    CHECK(response.field("Connection") == "close");
    CHECK(in_flight.closes());
    CHECK(server.ending().status == 0);
    CHECK(calls_of(journal_of(folder / "j")).back() == "destructor");
  }

  TEST_CASE("a request of the journal's app itself ends before its shutdown") {
    const TemporaryFolder folder;
    const Fifo entered(folder / "entered");
    Server server(
        {.toml = app_entry(
             "/", "journal",
             journal_settings(folder / "j", ", entered = \"" + entered.path().string() + "\""))});
    Client client(server.tcp());
    client.send(get("/?ms=500"));
    entered.wait();
    CHECK(server.stop().status == 0);
    CHECK(client.read_response().body == "journal\n");
    CHECK(calls_of(journal_of(folder / "j")) ==
          std::vector<string>{"start", "on_request", "shutdown", "destructor"});
  }

  TEST_CASE("fifty requests in flight all complete") {
    const TemporaryFolder folder;
    const Fifo entered(folder / "entered");
    const Fifo gate(folder / "gate");
    Server server({.toml = "blocking_threads = 64\n" +
                           app_entry("/", "slow",
                                     "settings = { entered = \"" + entered.path().string() +
                                         "\", gate = \"" + gate.path().string() + "\" }")});
    std::vector<Client> clients;
    for (int i = 0; i < 50; ++i) clients.emplace_back(server.tcp());
    for (Client& client : clients) client.send(get("/?ms=200"));
    entered.wait(50);
    server.process().send_signal(SIGTERM);
    REQUIRE(server.refuses_connections());
    gate.put(50);
    for (Client& client : clients) CHECK(client.read_response().body == "slow\n");
    CHECK(server.ending().status == 0);
  }

  TEST_CASE("requests that wait for a thread when the stop comes complete as well") {
    const TemporaryFolder folder;
    const Fifo entered(folder / "entered");
    const Fifo gate(folder / "gate");
    Server server({.toml = "blocking_threads = 1\nthreads = 1\n" +
                           app_entry("/", "slow",
                                     "settings = { entered = \"" + entered.path().string() +
                                         "\", gate = \"" + gate.path().string() + "\" }") +
                           app_entry("/echo", "echo")});
    std::vector<Client> clients;
    for (int i = 0; i < 5; ++i) clients.emplace_back(server.tcp());
    for (Client& client : clients) client.send(get("/"));
    entered.wait();
    // The I/O thread has taken the five when it answers somebody who came after them.
    CHECK(ask(server.tcp(), get("/echo")).status == 200);
    server.process().send_signal(SIGTERM);
    REQUIRE(server.refuses_connections());
    gate.put(5);
    for (Client& client : clients) CHECK(client.read_response().body == "slow\n");
    CHECK(server.ending().status == 0);
  }

  TEST_CASE("a large answer that is being sent is finished") {
    Server server({.files = {mounted("/", "big")}, .arguments = {"--grace", "600"}});
    Client client(server.tcp(), 4096);
    client.send(get("/?bytes=20000000"));
    REQUIRE(client.readable(kPatience));
    server.process().send_signal(SIGTERM);
    REQUIRE(server.refuses_connections());
    CHECK(client.read_response().body.size() == 20'000'000);
    CHECK(server.ending().status == 0);
  }

  TEST_CASE("a second signal ends at once") {
    const TemporaryFolder folder;
    const Fifo entered(folder / "entered");
    Server server({.toml = "grace = 600\n" + app_entry("/", "stuck",
                                                       "settings = { entered = \"" +
                                                           entered.path().string() + "\" }")});
    Client client(server.tcp());
    client.send(get("/"));
    entered.wait();
    server.process().send_signal(SIGTERM);
    REQUIRE(server.refuses_connections());
    server.process().send_signal(SIGTERM);
    const auto ending = server.process().wait();
    REQUIRE(ending.has_value());
    CHECK((ending->signal == SIGTERM || ending->status > 0));
    server.expect_failure();
  }

  TEST_CASE("a handler that never returns is given up when the grace is over") {
    const TemporaryFolder folder;
    const Fifo entered(folder / "entered");
    Server server(
        {.toml = "grace = 1\n" +
                 app_entry("/", "stuck",
                           "settings = { entered = \"" + entered.path().string() + "\" }") +
                 app_entry("/j", "journal", journal_settings(folder / "j"))});
    Client client(server.tcp());
    client.send(get("/"));
    entered.wait();
    server.process().send_signal(SIGTERM);
    CHECK(server.ending().signal == 0);
    CHECK(server.log().find("stuck") != string::npos);
    // The other app gets what it was promised.
    const auto calls = calls_of(journal_of(folder / "j"));
    CHECK(std::count(calls.begin(), calls.end(), "shutdown") == 1);
    server.expect_failure();
  }

  TEST_CASE("private copies are gone after a stop, and those of a killed server after the next") {
    const TemporaryFolder folder;
    std::filesystem::create_directory(folder / "copies");
    const string toml =
        "runtime_dir = \"" + (folder / "copies").string() + "\"\n" + app_entry("/", "echo");
    {
      Server server({.toml = toml});
      CHECK(!std::filesystem::is_empty(folder / "copies"));
      // The worker has the copies; who would start another does not see it die.
      const pid_t worker = server.worker();
      server.process().send_signal(SIGSTOP);
      ::kill(worker, SIGKILL);
      CHECK(server.stop(SIGKILL).signal == SIGKILL);
      server.expect_failure();
    }
    CHECK(!std::filesystem::is_empty(folder / "copies"));
    {
      Server server({.toml = toml});
      CHECK(ask(server.tcp(), get("/")).status == 200);
    }
    CHECK(std::filesystem::is_empty(folder / "copies"));
  }

  TEST_CASE("the file of a served app may be overwritten, cut off or removed") {
    const TemporaryFolder folder;
    const auto file = folder / "app.so";
    std::filesystem::copy_file(fixture("echo"), file);
    Server server({.files = {"/=" + file.string()}});
    CHECK(ask(server.tcp(), get("/?show=method")).body == "GET");
    write_file(file, string(100'000, '\0'));
    CHECK(ask(server.tcp(), get("/?show=path")).body == "/");
    std::filesystem::resize_file(file, 0);
    CHECK(ask(server.tcp(), get("/?show=fields")).body == "1");
    std::filesystem::remove(file);
    CHECK(ask(server.tcp(), get("/?show=version")).body == "11");
  }
}
