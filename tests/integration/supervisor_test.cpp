#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <fstream>
#include <mutex>
#include <random>
#include <set>
#include <thread>

#include "support/contract.hpp"
#include "support/support.hpp"

// One process that keeps the workers, and what it makes of signals and of their ends.

using namespace support;
using std::string;

namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

}  // namespace

TEST_SUITE("supervisor") {
  TEST_CASE("the supervisor loads no app, and each worker serves") {
    Server server({.toml = "workers = 3\n" + app_entry("/", "echo")});
    const auto workers = server.workers();
    CHECK(workers.size() == 3);
    CHECK(read_file("/proc/" + std::to_string(server.process().id()) + "/maps").find("echo") ==
          string::npos);
    for (const pid_t worker : workers) {
      CHECK(read_file("/proc/" + std::to_string(worker) + "/maps").find("echo") != string::npos);
    }
    // Whoever is left has to answer.
    for (const pid_t worker : {workers[0], workers[1]}) {
      ::kill(worker, SIGSTOP);
      CHECK(eventually([&] { return stat_of(worker).find(") T ") != string::npos; }));
    }
    for (int i = 0; i < 20; ++i) CHECK(ask(server.tcp(), get("/")).status == 200);
    for (const pid_t worker : {workers[0], workers[1]}) ::kill(worker, SIGCONT);
  }

  TEST_CASE("SIGTTIN and SIGTTOU change the number of workers, and the last one stays") {
    Server server({.files = {mounted("/", "echo")}});
    server.process().send_signal(SIGTTIN);
    CHECK(eventually([&] { return server.workers().size() == 2; }));
    CHECK(logs(server, {"worker 1 serves"}));
    server.process().send_signal(SIGTTOU);
    CHECK(eventually([&] { return server.workers().size() == 1; }));
    server.process().send_signal(SIGTTOU);
    CHECK(logs(server, {"the last worker stays"}));
    CHECK(ask(server.tcp(), get("/")).status == 200);
  }

  TEST_CASE("a worker that is killed hurts only its own requests, and another takes its place") {
    Server server({.toml = "workers = 2\nthreads = 1\n" + app_entry("/", "echo")});
    const auto before = server.workers();
    std::size_t restarted = 0;
    for (const pid_t victim : before) {
      const Standstills standstills;
      const auto killed = Clock::now();
      ::kill(victim, SIGKILL);
      CHECK(ask(server.tcp(), get("/")).status == 200);
      CHECK(standstills.took(killed) < milliseconds(2'000));
      // Its successor is to be there before the other one goes.
      ++restarted;
      CHECK(eventually([&] { return count_of(server.log(), " serves (pid ") == restarted; }));
    }
    CHECK(eventually([&] {
      const auto now = server.workers();
      return now.size() == 2 && std::none_of(before.begin(), before.end(), [&](pid_t old) {
               return std::find(now.begin(), now.end(), old) != now.end();
             });
    }));
    CHECK(logs(server, {"SIGKILL", "worker 0"}));
    CHECK(logs(server, {"worker 0 serves"}));
    CHECK(logs(server, {"worker 1 serves"}));
  }

  TEST_CASE("a worker that is killed under load cuts off its own connections and no other") {
    Server server({.toml = "threads = 1\n[workers]\ncrashes = 100\nbackoff_most = 0.1\n" +
                           app_entry("/", "echo"),
                   .arguments = {"--workers", "2"}});
    server.expect_failure();
    std::mutex mutex;
    std::set<string> killed;
    std::vector<string> faults;
    std::atomic<bool> stop{false};
    std::atomic<unsigned> cut{0};
    const auto ask_on = [&] {
      while (!stop) {
        string worker;
        try {
          Client client(server.tcp());
          while (!stop) {
            worker = client.ask(get("/?show=pid")).body;
            std::this_thread::sleep_for(std::chrono::microseconds(500));
          }
        } catch (const std::exception& error) {
          const std::lock_guard lock(mutex);
          ++cut;
          // Whose very first request is cut off does not know whose connection it was.
          if (!worker.empty() && killed.count(worker) == 0) faults.push_back(error.what());
        }
      }
    };
    std::vector<std::thread> clients;
    for (int i = 0; i < 6; ++i) clients.emplace_back(ask_on);
    const Standstills standstills;
    unsigned late = 0;
    for (int i = 0; i < 6; ++i) {
      const pid_t victim = server.workers().at(static_cast<std::size_t>(i % 2));
      {
        const std::lock_guard lock(mutex);
        killed.insert(std::to_string(victim));
      }
      ::kill(victim, SIGKILL);
      REQUIRE(eventually([&] { return stat_of(victim).empty(); }));
      const auto begun = Clock::now();
      CHECK(ask(server.tcp(), get("/")).status == 200);
      if (standstills.took(begun) > milliseconds(250)) ++late;
      REQUIRE(eventually([&] {
        return count_of(server.log(), " serves (pid ") == static_cast<std::size_t>(i + 1);
      }));
    }
    stop = true;
    for (std::thread& client : clients) client.join();
    CHECK(cut > 0);
    CHECK_MESSAGE(faults.empty(), (faults.empty() ? string() : faults.front()));
    // The machine may have been busy with something else, but not each time.
    if (!has_sanitizer()) CHECK(late <= 1);
  }

  TEST_CASE("connections wait in the kernel while the only worker is started again") {
    Server server({.toml = "[workers]\nbackoff = 0.2\n" + app_entry("/", "echo")});
    ::kill(server.worker(), SIGKILL);
    CHECK(logs(server, {"started again"}));
    CHECK(ask(server.tcp(), get("/")).status == 200);
    CHECK(ask(server.unix_socket(), get("/")).status == 200);
  }

  TEST_CASE("when the supervisor is killed, its workers end and the address is free") {
    const Contract contract;
    string address;
    std::vector<pid_t> workers;
    {
      Server server(
          {.toml = "workers = 2\n" + patient_times() + contract.app("/", "contract_all", "app"),
           .binds = {"127.0.0.1:0"}});
      workers = server.workers();
      address = "127.0.0.1:" + server.tcp().port;
      server.expect_failure();
      const Standstills standstills;
      const auto killed = Clock::now();
      server.stop(SIGKILL);
      for (const pid_t worker : workers) CHECK(eventually([&] { return !lives(worker); }));
      CHECK(standstills.took(killed) < milliseconds(has_sanitizer() ? 4'000 : 2'000));
    }
    // Told, as in any other stop.
    CHECK(contract.calls("app", "shutdown", "end").size() == 2);
    Server next({.files = {mounted("/", "echo")}, .binds = {address}});
    CHECK(ask(next.tcp(), get("/")).status == 200);
  }

  TEST_CASE("a worker is recycled after so many requests, and no request is lost") {
    Server server({.toml = "threads = 1\n[workers]\nmax_requests = 50\n" + app_entry("/", "echo")});
    const pid_t before = server.worker();
    for (int i = 0; i < 60; ++i) REQUIRE(ask(server.tcp(), get("/")).status == 200);
    CHECK(eventually([&] {
      REQUIRE(ask(server.tcp(), get("/")).status == 200);
      const auto now = server.workers();
      return now.size() == 1 && now[0] != before;
    }));
    CHECK(logs(server, {"worker 0 is replaced", "requests"}));
  }

  TEST_CASE("a worker is recycled when it has too much memory") {
    // Which the app leaks.
    if (has_sanitizer()) return;
    Server server({.toml = "threads = 1\n[workers]\nmax_memory = 400_000_000\n" +
                           app_entry("/", "crashes_inline")});
    const pid_t before = server.worker();
    CHECK(ask(server.tcp(), get("/memory")).body == "well");
    CHECK(logs(server, {"worker 0 is replaced", "max_memory"}));
    CHECK(eventually([&] { return !lives(before); }));
    CHECK(ask(server.tcp(), get("/")).body == "well");
  }

  TEST_CASE("a worker is recycled when it has lived for long enough") {
    Server server({.toml = "[workers]\nmax_lifetime = 0.5\n" + app_entry("/", "echo")});
    const pid_t before = server.worker();
    CHECK(logs(server, {"worker 0 is replaced", "max_lifetime"}));
    CHECK(eventually([&] { return !lives(before); }));
    CHECK(ask(server.tcp(), get("/")).status == 200);
  }

  TEST_CASE("SIGTERM at any moment of the start ends it cleanly, with a shutdown for each start") {
    std::mt19937 random(20'261'127);
    std::uniform_int_distribution<int> moment(0, has_sanitizer() ? 400'000 : 120'000);  // us
    for (int i = 0; i < (has_sanitizer() ? 20 : 200); ++i) {
      const Contract contract;
      const int when = moment(random);
      CAPTURE(when);
      write_file(contract.folder() / "toml", "workers = 2\nload_time = 60\n" + patient_times() +
                                                 contract.app("/", "contract_all", "app"));
      Process server({executable(), "serve", "--bind", "127.0.0.1:0", "-c",
                      (contract.folder() / "toml").string()});
      ::usleep(static_cast<useconds_t>(when));
      server.send_signal(SIGTERM);
      const auto ending = server.wait();
      REQUIRE(ending.has_value());
      // Before its first line it has started nothing yet, and ends as any program does.
      CHECK((ending->status == 0 || (ending->signal == SIGTERM && server.errors().empty())));
      const std::size_t starts = contract.calls("app", "start", "end").size();
      CHECK(contract.calls("app", "shutdown", "end").size() == starts);
    }
  }
}
