#include <algorithm>
#include <cstdlib>
#include <map>
#include <optional>
#include <random>
#include <system_error>
#include <thread>

#include "support/contract.hpp"
#include "support/support.hpp"

// The order of one generation: start < health < ready < (requests) < drain < (in-flight end) <
// shutdown, whatever happens meanwhile.

using namespace support;
using std::string;
using namespace std::chrono_literals;

namespace {

int runs() { return has_sanitizer() ? 8 : 40; }
constexpr int kSteps = 25;

unsigned seed() {
  const char* wanted = std::getenv("SONICORN_TEST_SEED");
  return wanted != nullptr ? static_cast<unsigned>(std::strtoul(wanted, nullptr, 10))
                           : std::random_device{}();
}

struct Kind {
  string mount;
  string fixture;
  Declared declared;
};

std::vector<Kind> kinds() {
  Declared serial = all_attributes();
  serial.serial = true;
  Declared filter = all_attributes();
  filter.attributes.erase("on_request");
  return {{"/", "contract_filter", filter},
          {"/pool", "contract_all", all_attributes()},
          {"/inline", "contract_inline", all_attributes()},
          {"/serial", "contract_serial", serial},
          {"/few", "contract_few", {.attributes = {"on_request", "pre_request"}}},
          {"/none", "contract_none", {}}};
}

// One server's life of random steps.
class Life {
 public:
  explicit Life(unsigned from) : random_(from), kinds_(kinds()) {
    std::shuffle(kinds_.begin(), kinds_.end(), random_);
    kinds_.resize(3);
    server_ = std::make_unique<Server>(ServerOptions{.toml = toml()});
  }

  void step() {
    switch (below(8)) {
      case 0:
        return reload();
      case 1:
        return leave_early();
      case 2:
        return stay_in_flight();
      case 3:
        return pipeline();
      default:
        return ask_at_once();
    }
  }

  void stop() {
    const int signals[] = {SIGTERM, SIGINT, SIGQUIT};
    CHECK(server_->stop(signals[below(3)]).status == 0);
    in_flight_.clear();
    server_.reset();
  }

  void check() const {
    for (const Kind& kind : kinds_) {
      CHECK_MESSAGE(fault_of_order(contract_.journal(kind.fixture), kind.declared) == "",
                    kind.fixture);
    }
    check_filters();
  }

 private:
  std::size_t below(std::size_t bound) {
    return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random_);
  }

  string toml() {
    string text =
        "threads = 2\nblocking_threads = 4\n" + patient_times() + "health_interval = 0.05\n";
    for (const Kind& kind : kinds_) {
      text += contract_.app(kind.mount, kind.fixture, kind.fixture,
                            "knob = " + std::to_string(below(5)));
    }
    return text;
  }

  string request() {
    const string id = "id=" + std::to_string(++requests_);
    return get((below(5) == 0 ? "/nowhere" : kinds_[below(kinds_.size())].mount) + "?" + id);
  }

  void reload() {
    write_file(server_->folder() / "sonicorn.toml", toml());
    server_->process().send_signal(SIGHUP);
  }

  void leave_early() {
    Client client(server_->tcp());
    client.send(request());
    gone_.insert(std::to_string(requests_));
    below(2) == 0 ? client.reset() : client.shut_down_sending();
  }

  void stay_in_flight() {
    in_flight_.emplace_back(server_->tcp());
    in_flight_.back().send(request());
  }

  void pipeline() {
    Client client(server_->tcp());
    string all;
    for (int i = 0; i < 3; ++i) all += request();
    client.send(all);
    for (int i = 0; i < 3; ++i) client.read_response();
  }

  void ask_at_once() {
    std::vector<Client> clients;
    for (std::size_t i = 0; i <= below(4); ++i) {
      clients.emplace_back(server_->tcp());
      clients.back().send(request());
    }
    for (Client& client : clients) client.read_response();
  }

  // Through the filters in load order, back in reverse order.
  void check_filters() const {
    std::map<string, std::vector<string>> passed;
    for (const Json& line : contract_.journal()) {
      if (line["phase"] != "begin") continue;
      if (line["call"] == "pre_request") passed[line["id"]].push_back(line["app"]);
      if (line["call"] != "post_request" || gone_.contains(line["id"])) continue;
      auto& apps = passed[line["id"]];
      // Who has no post_request is passed over.
      while (!apps.empty() && apps.back() == "contract_few") apps.pop_back();
      REQUIRE(!apps.empty());
      CHECK_MESSAGE(apps.back() == line["app"], line.dump());
      apps.pop_back();
    }
  }

  std::mt19937 random_;
  std::vector<Kind> kinds_;
  Contract contract_;
  std::unique_ptr<Server> server_;
  std::vector<Client> in_flight_;
  std::set<string> gone_;
  int requests_ = 0;
};

}  // namespace

TEST_SUITE("order") {
  TEST_CASE("the order of a generation holds through random requests, settings and stops") {
    const unsigned from = seed();
    MESSAGE("SONICORN_TEST_SEED=" << from);
    for (int run = 0; run < runs(); ++run) {
      CAPTURE(run);
      Life life(from + static_cast<unsigned>(run));
      for (int i = 0; i < kSteps; ++i) life.step();
      life.stop();
      life.check();
    }
  }

  TEST_CASE("no request comes before ready has returned") {
    const Contract contract;
    contract.steer("slow", "ready=hang");
    const Endpoint endpoint{{}, {}, contract.folder() / "s"};
    std::optional<Client> early;
    // Whether the server does not listen yet, or lets the client wait: it must not be answered.
    std::jthread opener([&] {
      contract.wait_for("slow", "ready", "begin");
      try {
        early.emplace(endpoint);
        early->send(get("/"));
        early->readable(200ms);
      } catch (const std::system_error&) {
        early.reset();
      }
      contract.gate().put();
    });
    Server server({.toml = patient_times() + contract.app("/", "contract_all", "slow"),
                   .binds = {"unix:" + endpoint.path.string()}});
    opener.join();
    CHECK(ask(endpoint, get("/")).status == 200);
    early.reset();
    CHECK(server.stop().status == 0);
    CHECK(fault_of_order(contract.journal("slow"), all_attributes()) == "");
  }

  TEST_CASE("drain comes while connections are open, and shutdown after the last request") {
    const Contract contract;
    contract.steer("app", "on_request=hang");
    Server server({.toml = patient_times() + contract.app("/", "contract_all", "app")});
    Client client(server.tcp());
    client.send(get("/"));
    contract.wait_for("app", "on_request", "begin");
    server.process().send_signal(SIGTERM);
    contract.wait_for("app", "drain");
    CHECK(contract.calls("app", "on_request", "end").empty());
    REQUIRE(server.refuses_connections());
    CHECK(contract.calls("app", "shutdown").empty());
    contract.gate().put();
    CHECK(client.read_response().body == "app\n");
    CHECK(server.ending().status == 0);
    CHECK(fault_of_order(contract.journal("app"), all_attributes()) == "");
  }

  TEST_CASE("the event ready comes after ready, and the event stopping before drain") {
    const Contract contract;
    Server server({.toml = patient_times() + contract.app("/", "contract_all", "app")});
    contract.wait_until("app", [](const Json& line) {
      return line["event"] == "ready" && line["call"] == "on_event";
    });
    CHECK(server.stop().status == 0);
    std::vector<string> events;
    for (const Json& line : contract.journal("app")) {
      if (line["phase"] == "begin" && line["role"] == 1) events.push_back(line["event"]);
    }
    std::erase(events, "health");
    CHECK(events ==
          std::vector<string>{"start", "ready", "ready", "stopping", "drain", "shutdown"});
  }

  TEST_CASE("an app that declares nothing is loaded and never called") {
    const Contract contract;
    Server server({.toml = patient_times() + contract.app("/none", "contract_none", "none") +
                           contract.app("/few", "contract_few", "few")});
    CHECK(ask(server.tcp(), get("/none")).status == 404);
    CHECK(ask(server.tcp(), get("/few")).body == "few\n");
    write_file(server.folder() / "sonicorn.toml",
               patient_times() + contract.app("/none", "contract_none", "none", "knob = 1") +
                   contract.app("/few", "contract_few", "few", "knob = 1"));
    server.process().send_signal(SIGHUP);
    // Both lack reload, so new settings are a new generation.
    CHECK(logs(server, {"app none: generation 2 serves"}));
    CHECK(logs(server, {"app few: generation 2 serves"}));
    CHECK(ask(server.tcp(), get("/few")).body == "few\n");
    CHECK(server.stop().status == 0);
    CHECK(contract.journal("none").empty());
    CHECK(fault_of_order(contract.journal("few"), {.attributes = {"on_request", "pre_request"}}) ==
          "");
  }
}
