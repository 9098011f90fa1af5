#include <doctest/doctest.h>

#include <random>

#include "supervisor/backoff.hpp"
#include "supervisor/merge.hpp"
#include "supervisor/quarantine.hpp"

// What the supervisor decides and says of its workers.

using namespace sonicorn;
using namespace sonicorn::supervisor;
using namespace std::chrono_literals;
using Json = nlohmann::json;

namespace {

Said said(unsigned worker, Json json) { return {worker, 1000 + static_cast<int>(worker), json}; }

}  // namespace

TEST_SUITE("supervisor.keeping") {
  TEST_CASE("the wait before a new start doubles up to its most, with a quarter by chance") {
    std::minstd_rand chance(1);
    Backoff backoff{config::Workers{}};
    std::chrono::milliseconds base = 100ms;
    for (int i = 0; i < 20; ++i) {
      const auto wait = backoff.after(1s, chance);
      CHECK(wait >= base);
      CHECK(wait <= base + base / 4);
      base = std::min(base * 2, std::chrono::milliseconds(30s));
    }
    CHECK(backoff.after(59s, chance) >= 30s);
    CHECK(backoff.after(60s, chance) <= 125ms);
    CHECK(backoff.after(0s, chance) >= 200ms);
  }

  TEST_CASE("an app is quarantined when it ends more workers than allowed within the time") {
    Quarantine quarantine{config::Workers{}};
    const auto begin = Quarantine::Clock::now();
    for (int i = 0; i < 5; ++i) CHECK(!quarantine.note("bad", begin + i * 1s));
    CHECK(!quarantine.note("other", begin + 5s));
    CHECK(quarantine.note("bad", begin + 9s));
    CHECK(quarantine.names() == std::set<std::string>{"bad"});
    // It is told once.
    CHECK(!quarantine.note("bad", begin + 9s));
    CHECK(quarantine.totals().at("bad") == 7);
    CHECK(!quarantine.release("other"));
    CHECK(quarantine.release("bad"));
    CHECK(quarantine.names().empty());
    // It begins anew, and is counted on.
    CHECK(!quarantine.note("bad", begin + 9s));
    CHECK(quarantine.totals().at("bad") == 8);
  }

  TEST_CASE("deaths that are far apart are no reason for a quarantine") {
    Quarantine quarantine{config::Workers{}};
    const auto begin = Quarantine::Clock::now();
    for (int i = 0; i < 100; ++i) CHECK(!quarantine.note("bad", begin + i * 2100ms));
  }

  TEST_CASE("what workers say of one app is added up, and what all must be is what all are") {
    Quarantine quarantine{config::Workers{.crashes = 0}};
    quarantine.note("gone", Quarantine::Clock::now());
    const Json one = {{"name", "a"},   {"requests", 3},   {"errors", 1},     {"in_flight", 1},
                      {"ready", true}, {"healthy", true}, {"serving", true}, {"generation", 1}};
    Json two = one;
    two["requests"] = 4;
    two["healthy"] = false;
    const std::vector<Said> all{said(0, Json::array({one})), said(1, Json::array({two})),
                                said(2, nullptr)};
    const Json known = {{{"name", "a"}, {"mount", "/a"}, {"generation", 2}},
                        {{"name", "gone"}, {"mount", "/gone"}}};
    const Json apps = merge_apps(known, all, quarantine);
    REQUIRE(apps.size() == 2);
    CHECK(apps[0]["name"] == "a");
    CHECK(apps[0]["mount"] == "/a");
    CHECK(apps[0]["requests"] == 7);
    CHECK(apps[0]["errors"] == 2);
    CHECK(apps[0]["healthy"] == false);
    CHECK(apps[0]["ready"] == true);
    CHECK(apps[0]["crashes"] == 0);
    CHECK(apps[0]["quarantined"] == false);
    REQUIRE(apps[0]["workers"].size() == 2);
    CHECK(apps[0]["workers"][1]["pid"] == 1001);
    CHECK(apps[0]["workers"][1]["requests"] == 4);
    CHECK(apps[0]["generation"] == 1);
    CHECK(apps[1]["name"] == "gone");
    CHECK(apps[1]["mount"] == "/gone");
    CHECK(apps[1]["requests"] == 0);
    CHECK(apps[1]["workers"].empty());
    CHECK(apps[1]["quarantined"] == true);
    CHECK(apps[1]["serving"] == false);
    CHECK(apps[1]["crashes"] == 1);
  }

  TEST_CASE("metrics are added sample by sample, and each family is described once") {
    const char* const one =
        "# HELP hits_total Of a test.\n# TYPE hits_total counter\n"
        "hits_total{app=\"a b\"} 2\n"
        "# HELP t Times.\n# TYPE t histogram\n"
        "t_bucket{le=\"+Inf\"} 1\nt_sum 0.5\nt_count 1\n";
    const char* const two =
        "# HELP hits_total Of a test.\n# TYPE hits_total counter\n"
        "hits_total{app=\"a b\"} 3\nhits_total{app=\"late\"} 1\n"
        "# HELP t Times.\n# TYPE t histogram\n"
        "t_bucket{le=\"+Inf\"} 2\nt_sum 0.25\nt_count 2\n";
    const std::vector<Said> all{said(0, one), said(1, two), said(2, nullptr)};
    CHECK(merge_metrics(all) ==
          "# HELP hits_total Of a test.\n# TYPE hits_total counter\n"
          "hits_total{app=\"a b\"} 5\nhits_total{app=\"late\"} 1\n"
          "# HELP t Times.\n# TYPE t histogram\n"
          "t_bucket{le=\"+Inf\"} 3\nt_sum 0.75\nt_count 3\n");
    CHECK(merge_metrics({}).empty());
  }
}
