#include <algorithm>
#include <atomic>
#include <csignal>
#include <mutex>
#include <sstream>
#include <thread>

#include "support/contract.hpp"
#include "support/support.hpp"

// What an app does to its process hurts what was inside that process at that moment, and is told
// with the app's name.

using namespace support;
using std::string;
using namespace std::chrono_literals;

namespace {

using Clock = std::chrono::steady_clock;

string crashes(std::string_view mount, std::string_view name, std::string_view settings = {}) {
  return app_entry(mount, "crashes_inline",
                   "name = \"" + string(name) + "\"\nsettings = { " + string(settings) + " }");
}

// Ways to end a process, and how that is told.
const std::vector<std::pair<string, string>> kCrashes{
    {"exit", "exit"}, {"segv", "SIGSEGV"}, {"abort", "SIGABRT"}, {"overflow", "overflow"}};

std::size_t descriptors_of(pid_t process) {
  const std::filesystem::directory_iterator all("/proc/" + std::to_string(process) + "/fd");
  return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

std::size_t resident_pages_of(pid_t process) {
  std::istringstream fields(read_file("/proc/" + std::to_string(process) + "/statm"));
  std::size_t size = 0;
  std::size_t resident = 0;
  fields >> size >> resident;
  return resident;
}

constexpr const char* kOftenAllowed =
    "threads = 1\n[workers]\ncrashes = 1000\nbackoff = 0.001\nbackoff_most = 0.01\n";

// Clients that ask another app for its process, on connections that stay and on new ones.
class Bystanders {
 public:
  explicit Bystanders(const Endpoint& endpoint) : endpoint_(endpoint) {
    for (int i = 0; i < 4; ++i) threads_.emplace_back([this, i] { ask_on(i % 2 == 0); });
  }
  ~Bystanders() { stop(); }
  Bystanders(const Bystanders&) = delete;
  Bystanders& operator=(const Bystanders&) = delete;

  void stop() {
    stop_ = true;
    for (std::thread& thread : threads_) {
      if (thread.joinable()) thread.join();
    }
  }

  unsigned long answered() const { return answered_; }
  // Connections on which nothing was ever answered, and whose process is therefore not known.
  unsigned cut_at_once() const { return cut_at_once_; }
  // Of connections that were cut in a process that goes on.
  std::vector<string> faults() const {
    std::vector<string> all;
    for (const auto& [process, what] : cut_) {
      // The client may hear of an end before it is one.
      if (!eventually([p = process] { return !lives(p); }, 5s))
        all.push_back("in " + std::to_string(process) + ": " + what);
    }
    return all;
  }

 private:
  void ask_on(bool keeps) {
    while (!stop_) {
      pid_t process = 0;
      try {
        Client client(endpoint_);
        do {
          const Response response = client.ask(get("/good?show=pid"));
          if (response.status != 200) throw std::runtime_error(response.body);
          process = std::stoi(response.body);
          ++answered_;
          std::this_thread::sleep_for(500us);
        } while (keeps && !stop_);
      } catch (const std::exception& error) {
        const std::lock_guard lock(mutex_);
        if (process == 0) {
          ++cut_at_once_;
        } else {
          cut_.emplace_back(process, error.what());
        }
      }
    }
  }

  const Endpoint endpoint_;
  std::atomic<bool> stop_{false};
  std::atomic<unsigned long> answered_{0};
  std::mutex mutex_;
  unsigned cut_at_once_ = 0;
  std::vector<std::pair<pid_t, string>> cut_;
  std::vector<std::thread> threads_;
};

// One way to misbehave in one place.
struct Misdeed {
  string place;
  string how;
  std::vector<string> said;  // of the line that tells it

  bool hangs() const { return how == "deadlock" || how == "loop"; }
  bool ends() const { return !hangs() && how != "memory"; }
};

std::vector<Misdeed> misdeeds() {
  const std::vector<string> places{"on_request", "start", "background", "shutdown"};
  std::vector<Misdeed> all;
  for (const string& place : places) {
    for (const auto& [how, said] : kCrashes) {
      // Sanitizers take these signals for themselves.
      if (has_sanitizer() && how != "exit") continue;
      all.push_back({place,
                     how,
                     {"app bad: " + (place == "background" ? "a background thread" : place),
                      "ended the worker by", said}});
    }
    for (const string how : {"deadlock", "loop"}) {
      if (place == "on_request") {
        all.push_back({place, how, {"app bad", "on_request holds up an I/O thread"}});
      } else if (place == "background") {
        all.push_back({place, how, {"app bad", "its background thread sweeper did not end"}});
      } else {
        all.push_back({place, how, {"app bad", place, "runs for", " s, longer than"}});
      }
    }
    // Which the app leaks, as a sanitizer would say as well.
    if (has_sanitizer()) continue;
    all.push_back({place, "memory", {}});
    // Who shuts down is gone before anybody looks.
    if (place != "shutdown") all.back().said = {"is replaced", "max_memory"};
  }
  return all;
}

// The app that is to misbehave, beside one that does not.
string toml(const Misdeed& misdeed, const std::filesystem::path& armed) {
  // Whoever is not stuck keeps to it, also where everything is slow.
  const string time = has_sanitizer() ? "4" : "2";
  return "threads = 1\ngrace = " + time + "\n[lifecycle]\nstart_time = " + time +
         "\ncall_time = " + time + "\n[limits]\nloop_time = " + time +
         "\n[workers]\ncrashes = 1000\nbackoff = 0.001\n" +
         (has_sanitizer() ? "" : "max_memory = 400_000_000\n") +
         crashes("/bad", "bad",
                 "in = \"" + misdeed.place + "\", how = \"" + misdeed.how + "\", armed = \"" +
                     armed.string() + "\", entered = \"" + armed.string() + ".entered\"") +
         app_entry("/good", "echo");
}

// Has it done once, by one worker; returns when it is done, or has begun.
void commit(const Misdeed& misdeed, const Endpoint& endpoint, const std::filesystem::path& armed,
            const string& control) {
  if (misdeed.place == "on_request") {
    const Fifo entered(armed.string() + ".entered");
    Client client(endpoint);
    client.send(get("/bad/" + misdeed.how));
    misdeed.hangs() ? entered.wait() : static_cast<void>(client.readable(kPatience));
    return;
  }
  write_file(armed, "");
  // One starts and one ends; a background thread needs no reason.
  if (misdeed.place != "background") run_sonicorn({"restart-worker", "0", "--control", control});
  REQUIRE(eventually([&] { return !std::filesystem::exists(armed); }));
}

}  // namespace

TEST_SUITE("containment") {
  TEST_CASE("a hundred crashes leave nothing behind") {
    Server server({.toml = kOftenAllowed + crashes("/", "bad") + app_entry("/good", "echo")});
    const auto crash = [&] {
      const pid_t before = server.worker();
      try {
        ask(server.tcp(), get("/segv"));
      } catch (const std::exception&) {
        // The answer that nobody gives.
      }
      CHECK(eventually([&] {
        const auto now = server.workers();
        return now.size() == 1 && now[0] != before;
      }));
      CHECK(ask(server.tcp(), get("/good")).status == 200);
    };
    crash();
    const std::size_t descriptors = descriptors_of(server.process().id());
    const std::size_t pages = resident_pages_of(server.process().id());
    const int times = has_sanitizer() ? 10 : 99;
    for (int i = 0; i < times; ++i) crash();
    CHECK(eventually([&] { return descriptors_of(server.process().id()) <= descriptors; }));
    // 2 MiB are some thousand lines of a log that nobody reads yet, not what a crash leaves.
    if (!has_sanitizer()) CHECK(resident_pages_of(server.process().id()) <= pages + 512);
    // No zombie: every child that there is is the worker.
    const string own = std::to_string(server.process().id());
    CHECK(eventually([&] {
      const string children = read_file("/proc/" + own + "/task/" + own + "/children");
      return children == std::to_string(server.worker()) + " ";
    }));
    // What dead workers had copied is gone but for the last.
    const std::filesystem::directory_iterator copies(server.folder() / "runtime");
    CHECK(std::distance(begin(copies), end(copies)) <= 3);
  }

  TEST_CASE("an app that keeps crashing is quarantined, and the others go on") {
    const TemporaryFolder folder;
    const string control = (folder / "control").string();
    Server server({.toml = "[workers]\ncrashes = 2\ncrash_time = 600\nbackoff = 0.001\n" +
                           crashes("/bad", "bad") + app_entry("/", "echo"),
                   .arguments = {"--control", control}});
    for (int i = 0; i < 3; ++i) {
      CHECK(eventually([&] { return ask(server.tcp(), get("/bad/")).body == "well"; }));
      CHECK_THROWS(ask(server.tcp(), get("/bad/segv")));
    }
    CHECK(logs(server, {"app bad", "quarantined"}));
    CHECK(eventually([&] { return ask(server.tcp(), get("/bad/")).status == 503; }));
    const Response refused = ask(server.tcp(), get("/bad/segv"));
    CHECK(refused.status == 503);
    CHECK(refused.has("Retry-After"));
    CHECK(ask(server.tcp(), get("/")).status == 200);
    CHECK(run_sonicorn({"status", "--control", control}).output.find("in quarantine: bad") !=
          string::npos);
    CHECK(run_sonicorn({"apps", "--control", control}).output.find("/bad") != string::npos);
    CHECK(run_sonicorn({"unquarantine", "good", "--control", control}).ending.status == 1);
    const Outcome freed = run_sonicorn({"unquarantine", "bad", "--control", control});
    CHECK(freed.ending.status == 0);
    CHECK(ask(server.tcp(), get("/bad/")).body == "well");
  }

  TEST_CASE("exit(0) in a shutdown is no success") {
    Server server({.toml = crashes("/", "bad", R"(in = "shutdown", how = "exit0")")});
    server.expect_failure();
    server.process().send_signal(SIGTERM);
    CHECK(server.ending().status == 1);
    CHECK(has_logged(server.log(), {"app bad", "shutdown", "exit"}));
  }

  TEST_CASE("what a worker was in is told of one that ends without a word") {
    const Contract contract;
    const string control = contract.folder() / "control";
    Server server({.toml = patient_times() + "[workers]\nbackoff = 0.001\n" +
                           contract.app("/", "contract_plain", "app"),
                   .arguments = {"--control", control}});
    server.expect_failure();
    contract.steer("app", "start=hang");
    ::kill(server.worker(), SIGKILL);
    contract.wait_for("app", "start", "begin", 2);
    // The supervisor hears of it a moment later.
    CHECK(eventually([&] {
      return has_logged(run_sonicorn({"history", "--control", control}).output,
                        {" start ", "under way"});
    }));
    ::kill(server.worker(), SIGKILL);
    CHECK(logs(server, {"start of app app had begun and not returned"}));
    contract.steer("app", "");
    // The next may have begun already.
    contract.gate().put();
    CHECK(eventually([&] { return ask(server.tcp(), get("/")).status == 200; }));
  }

  TEST_CASE("of one file at two mounts, the one that crashes is quarantined") {
    const TemporaryFolder folder;
    const string control = (folder / "control").string();
    Server server({.toml = "[workers]\ncrashes = 2\ncrash_time = 600\nbackoff = 0.001\n" +
                           app_entry("/one", "crashes_inline") +
                           app_entry("/two", "crashes_inline"),
                   .arguments = {"--control", control}});
    CHECK(logs(server, {"the app at /two is named", "-2, for the one at /one is", "name = "}));
    for (int i = 0; i < 3; ++i) {
      CHECK(eventually([&] { return ask(server.tcp(), get("/two/")).body == "well"; }));
      CHECK_THROWS(ask(server.tcp(), get("/two/segv")));
    }
    CHECK(eventually([&] { return ask(server.tcp(), get("/two/")).status == 503; }));
    CHECK(ask(server.tcp(), get("/one/")).body == "well");
    // Also after a reload of the first, each is who it was.
    const nlohmann::json before =
        nlohmann::json::parse(run_sonicorn({"apps", "--json", "--control", control}).output);
    REQUIRE(before.size() == 2);
    const string first = before[0]["name"];
    CHECK(before[1]["name"] == first + "-2");
    CHECK(run_sonicorn({"reload", first, "--force", "--control", control}).ending.status == 0);
    CHECK(run_sonicorn({"unquarantine", first + "-2", "--control", control}).ending.status == 0);
    CHECK(ask(server.tcp(), get("/two/")).body == "well");
    CHECK(ask(server.tcp(), get("/one/")).body == "well");
  }

  TEST_CASE("an app that crashes when it starts again is quarantined, and the others go on") {
    const Contract contract;
    const string entry = contract.app("/bad", "contract_all", "bad");
    Server server({.toml = patient_times() +
                           "[workers]\ncrashes = 2\ncrash_time = 600\nbackoff = 0.001\n" + entry +
                           app_entry("/", "echo")});
    contract.steer("bad", "start=fail");
    ::kill(server.worker(), SIGKILL);
    CHECK(logs(server, {"app bad", "quarantined"}));
    CHECK(eventually([&] { return ask(server.tcp(), get("/bad")).status == 503; }));
    CHECK(ask(server.tcp(), get("/")).status == 200);
  }

  TEST_CASE("a worker whose I/O thread is held up is replaced, and the app is named") {
    for (const char* const how : {"loop", "deadlock"}) {
      CAPTURE(string(how));
      Server server(
          {.toml = "threads = 1\ngrace = 1\n[limits]\nloop_time = 0.5\n" + crashes("/", "bad")});
      server.expect_failure();
      const pid_t before = server.worker();
      Client stuck(server.tcp());
      stuck.send(get("/" + string(how)));
      CHECK(logs(server, {"app bad", "on_request holds up an I/O thread"}));
      // That sanitizer keeps signals back as long as a thread does not call it.
      if (!has_thread_sanitizer()) {
        CHECK(logs(server, {"app bad", "is at", how == string("loop") ? "spin" : "lock_twice"}));
      }
      CHECK(logs(server, {"worker 0 is replaced"}));
      CHECK(eventually([&] { return !lives(before); }));
      CHECK(ask(server.tcp(), get("/")).body == "well");
    }
  }

  TEST_CASE("each way to end the process is told with the app, its generation and its place") {
    struct Case {
      const char* path;
      const char* how;
    };
    for (const Case& each :
         {Case{"segv", "SIGSEGV"}, Case{"abort", "SIGABRT"}, Case{"exit3", "exit"},
          Case{"overflow", "stack overflow"}, Case{"throw-in-thread", "SIGABRT"},
          Case{"segv-in-own-thread", "SIGSEGV"}}) {
      // Sanitizers take these signals for themselves.
      if (has_sanitizer() && string(each.path) != "exit3") continue;
      CAPTURE(string(each.path));
      for (const char* const fixture_name : {"crashes", "crashes_inline"}) {
        CAPTURE(string(fixture_name));
        Server server({.toml = kOftenAllowed + app_entry("/", fixture_name, "name = \"bad\"\n")});
        server.expect_failure();
        CHECK_THROWS(ask(server.tcp(), get("/" + string(each.path))));
        CHECK(logs(server, {"app bad", each.how, "generation 1"}));
        CHECK(logs(server, {"app bad: crashed at", "#"}));
        CHECK(ask(server.tcp(), get("/")).body == "well");
      }
    }
  }

  TEST_CASE("an app that crashes while the server starts is skipped where broken ones are") {
    Server server({.toml = "workers = 2\nskip_broken = true\n" +
                           crashes("/bad", "bad", "in = \"start\", how = \"exit\"") +
                           app_entry("/", "echo")});
    CHECK(logs(server, {"app bad: start ended the worker by exit(3)"}));
    CHECK(logs(server, {"app bad", "quarantined"}));
    CHECK(ask(server.tcp(), get("/")).status == 200);
    CHECK(ask(server.tcp(), get("/bad")).status == 503);
  }

  TEST_CASE("an app that crashes in the first start keeps the server from starting") {
    for (const auto& [how, said] : kCrashes) {
      // Sanitizers take these signals for themselves.
      if (has_sanitizer() && how != "exit") continue;
      CAPTURE(how);
      const TemporaryFolder folder;
      write_file(folder / "toml",
                 "load_time = 60\n" + crashes("/", "bad", "in = \"start\", how = \"" + how + "\""));
      const Outcome outcome =
          run_sonicorn({"serve", "--bind", "127.0.0.1:0", "-c", (folder / "toml").string()});
      CHECK(outcome.ending.status == 1);
      CHECK_MESSAGE(has_logged(outcome.errors, {"app bad", "start", said}), outcome.errors);
      CHECK(has_logged(outcome.errors, {"not serving", "mend app bad", "--skip-broken"}));
    }
  }

  TEST_CASE(
      "an app that crashes on its background thread is named, whatever becomes of the start") {
    for (const auto& [how, said] : kCrashes) {
      if (has_sanitizer() && how != "exit") continue;
      CAPTURE(how);
      const TemporaryFolder folder;
      write_file(
          folder / "toml",
          "load_time = 60\n" + crashes("/", "bad", "in = \"background\", how = \"" + how + "\""));
      Process server({executable(), "serve", "--bind", "127.0.0.1:0", "-c",
                      (folder / "toml").string(), "--control", (folder / "control").string()});
      CHECK(server.wait_for_errors("app bad: a background thread ended the worker by"));
      CHECK(server.wait_for_errors(said));
      server.send_signal(SIGTERM);
      CHECK(server.wait().has_value());
    }
  }

  TEST_CASE("an app that crashes in its shutdown ends the server with status 1, and is named") {
    for (const auto& [how, said] : kCrashes) {
      // Sanitizers take these signals for themselves.
      if (has_sanitizer() && how != "exit") continue;
      CAPTURE(how);
      Server server({.toml = crashes("/", "bad", "in = \"shutdown\", how = \"" + how + "\"")});
      server.expect_failure();
      CHECK(server.stop().status == 1);
      CHECK_MESSAGE(has_logged(server.log(), {"app bad", "shutdown", said}), server.log());
    }
  }

  TEST_CASE("whatever an app does, and wherever: others lose nothing but what was inside") {
    const Standstills standstills;
    unsigned late = 0;
    for (const Misdeed& misdeed : misdeeds()) {
      CAPTURE(misdeed.place);
      CAPTURE(misdeed.how);
      const TemporaryFolder folder;
      const string control = (folder / "control").string();
      Server server({.toml = toml(misdeed, folder / "armed"),
                     .arguments = {"--workers", "2", "--control", control}});
      server.expect_failure();
      Bystanders bystanders(server.tcp());
      commit(misdeed, server.tcp(), folder / "armed", control);
      // Without a request that it hurts, the end is known from the log alone.
      if (misdeed.place == "background" && misdeed.ends()) CHECK(logs(server, misdeed.said));
      const auto begun = Clock::now();
      CHECK(ask(server.tcp(), get("/good")).status == 200);
      if (standstills.took(begun) > 250ms) ++late;
      // Nobody misses a background thread that hangs until it is to end.
      if (misdeed.place == "background" && misdeed.hangs()) {
        run_sonicorn({"restart-worker", "--control", control});
      }
      if (!misdeed.said.empty()) CHECK_MESSAGE(logs(server, misdeed.said), server.log());
      CHECK(eventually([&] { return server.workers().size() == 2; }));
      CHECK(ask(server.tcp(), get("/bad/")).body == "well");
      bystanders.stop();
      CHECK(bystanders.answered() > 0);
      const auto faults = bystanders.faults();
      CHECK_MESSAGE(faults.empty(), (faults.empty() ? string() : faults.front()));
      // Each of the clients had at most one request inside.
      CHECK(bystanders.cut_at_once() <= (misdeed.place == "on_request" || misdeed.ends() ? 4 : 0));
    }
    // The machine may have been busy with something else, but not each time.
    if (!has_sanitizer()) CHECK(late <= 2);
  }
}
