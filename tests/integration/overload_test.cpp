#include <algorithm>
#include <atomic>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "support/support.hpp"

// Far more is asked than can be served: as much is served as ever, the rest is refused at once, and
// whoever watches the server is answered.

using namespace support;
using std::string;
using namespace std::chrono_literals;

namespace {

using Clock = std::chrono::steady_clock;
using Seconds = std::chrono::duration<double>;

// So 200 requests a second, whatever the machine is.
constexpr unsigned kThreads = 4;
constexpr auto kService = 20ms;
constexpr double kCapacity = kThreads / Seconds(kService).count();

struct Tally {
  std::vector<double> served;   // seconds each took, without standstills
  std::vector<double> refused;  // the same
  std::vector<string> faults;
  Seconds time{0};  // that all of it took, the same

  double goodput() const { return static_cast<double>(served.size()) / time.count(); }
};

// Clients that ask on connections that stay, `rate` times a second in all; 0: as fast as answers
// come.
Tally ask_for(Seconds time, const Endpoint& endpoint, unsigned clients, double rate) {
  Tally all;
  std::mutex mutex;
  const Standstills standstills;
  const auto begun = Clock::now();
  const auto ask_on = [&](unsigned index) {
    Tally own;
    try {
      std::optional<Client> client;
      const Seconds pause(rate == 0 ? 0 : clients / rate);
      for (auto due = begun + pause * index / clients; Clock::now() < begun + time; due += pause) {
        std::this_thread::sleep_until(due);
        const auto asked = Clock::now();
        if (!client) client.emplace(endpoint);
        const Response response = client->ask(get("/?ms=20"));
        const double took = Seconds(standstills.took(asked)).count();
        if (response.status == 200) {
          own.served.push_back(took);
        } else if (response.status == 503 && response.has("Retry-After")) {
          own.refused.push_back(took);
        } else {
          own.faults.push_back(std::to_string(response.status) + " " + response.body);
        }
        if (response.field("Connection") == "close") client.reset();
      }
    } catch (const std::exception& error) {
      own.faults.push_back(error.what());
    }
    const std::lock_guard lock(mutex);
    all.served.insert(all.served.end(), own.served.begin(), own.served.end());
    all.refused.insert(all.refused.end(), own.refused.begin(), own.refused.end());
    all.faults.insert(all.faults.end(), own.faults.begin(), own.faults.end());
  };
  std::vector<std::thread> threads;
  for (unsigned i = 0; i < clients; ++i) threads.emplace_back(ask_on, i);
  for (std::thread& thread : threads) thread.join();
  all.time = time - standstills.since(begun);
  return all;
}

// Asks the operator's socket again and again, from when it is made until it is stopped.
class Watch {
 public:
  explicit Watch(const Endpoint& control)
      : thread_([this, control] {
          while (!stop_) {
            for (const char* const target : {"/livez", "/readyz", "/status"}) {
              const auto asked = Clock::now();
              const int status = ask(control, get(target)).status;
              took_.push_back(Seconds(standstills_.took(asked)).count());
              if (status != 200) ++failed_;
            }
            std::this_thread::sleep_for(50ms);
          }
        }) {}
  ~Watch() { stop(); }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  void stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  const std::vector<double>& took() const { return took_; }
  unsigned failed() const { return failed_; }

 private:
  const Standstills standstills_;
  std::atomic<bool> stop_{false};
  std::vector<double> took_;
  unsigned failed_ = 0;
  std::thread thread_;
};

// What 99 of 100 do not exceed.
double p99(std::vector<double> values) {
  REQUIRE(!values.empty());
  std::sort(values.begin(), values.end());
  return values[(values.size() - 1) * 99 / 100];
}

}  // namespace

TEST_SUITE("overload") {
  TEST_CASE("three times what can be served costs nothing of it, and refusals come at once") {
    const TemporaryFolder folder;
    const Endpoint control{{}, {}, folder / "control"};
    Server server({.toml = "threads = 1\nblocking_threads = " + std::to_string(kThreads) +
                           "\n[limits]\nqueue = 16\n" + app_entry("/", "slow"),
                   .arguments = {"--control", control.path.string()}});
    const Seconds time = has_sanitizer() ? 5s : 30s;
    double best = 0;
    double goodput = 0;
    double refused = 0;
    double operators = 0;
    // The machine may be busy with something else for a moment, but not each time.
    for (int i = 0; i < 3; ++i) {
      const Tally peak = ask_for(5s, server.tcp(), 2 * kThreads, 0);
      Watch watch(control);
      const Tally over = ask_for(time, server.tcp(), 60, 3 * kCapacity);
      watch.stop();
      for (const Tally* const each : {&peak, &over}) {
        CHECK_MESSAGE(each->faults.empty(), (each->faults.empty() ? "" : each->faults.front()));
      }
      CHECK(watch.failed() == 0);
      best = peak.goodput();
      goodput = over.goodput();
      refused = p99(over.refused);
      operators = p99(watch.took());
      MESSAGE("served " << goodput << "/s of " << best << "/s; refused within " << refused
                        << " s, operators answered within " << operators << " s");
      // Where everything is slow, the clients measure themselves.
      if (has_sanitizer()) return;
      if (goodput >= 0.9 * best && refused <= 0.050 && operators <= 0.100) break;
    }
    CHECK(goodput >= 0.9 * best);
    CHECK(refused <= 0.050);
    CHECK(operators <= 0.100);
  }

  TEST_CASE("a queue that is longer than anybody would wait serves as much, too") {
    Server server({.toml = "threads = 1\nblocking_threads = " + std::to_string(kThreads) +
                           "\n[limits]\nrequest_time = 1\n" + app_entry("/", "slow")});
    const Seconds time = 6s;
    double goodput = 0;
    double refused = 0;
    // As above.
    for (int i = 0; i < 3; ++i) {
      const Tally over = ask_for(time, server.tcp(), 240, 3 * kCapacity);
      CHECK_MESSAGE(over.faults.empty(), (over.faults.empty() ? "" : over.faults.front()));
      goodput = over.goodput();
      refused = p99(over.refused);
      MESSAGE("served " << goodput << "/s of " << kCapacity << "/s; refused within " << refused
                        << " s");
      if (has_sanitizer()) return;
      if (goodput >= 0.9 * kCapacity && refused <= 0.050) break;
    }
    CHECK(goodput >= 0.9 * kCapacity);
    CHECK(refused <= 0.050);
  }

  TEST_CASE("whoever is given up while he waits for a thread is not served to nobody") {
    const TemporaryFolder folder;
    const Fifo entered(folder / "entered");
    const Fifo gate(folder / "gate");
    Server server({.toml = "blocking_threads = 1\n[limits]\nrequest_time = 2\n" +
                           app_entry("/", "slow",
                                     "settings = { entered = \"" + entered.path().string() +
                                         "\", gate = \"" + gate.path().string() + "\" }")});
    Client first(server.tcp());
    first.send(get("/"));
    entered.wait();
    std::vector<std::unique_ptr<Client>> waiting;
    for (int i = 0; i < 5; ++i) {
      waiting.push_back(std::make_unique<Client>(server.tcp()));
      waiting.back()->send(get("/?free"));
    }
    for (const auto& client : waiting) CHECK(client->read_response().status == 503);
    CHECK(first.read_response().status == 503);
    // Their handlers would begin now.
    gate.put();
    CHECK_THROWS(entered.wait(1, 300ms));
  }
}
