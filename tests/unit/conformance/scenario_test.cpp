#include "conformance/scenario.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <set>

namespace sonicorn::conformance {
namespace {

using Capabilities = std::vector<std::string>;

app::Inspection using_(Capabilities uses, Capabilities requires_ = {}) {
  app::Inspection inspection;
  inspection.uses = std::move(uses);
  inspection.requires_ = std::move(requires_);
  return inspection;
}

Plan plan_of(const app::Inspection& inspection) {
  return plan_for(inspection, app::Offer::of_server(), 50);
}

// The withheld sets, without the last one, which is of all that is not required.
std::vector<Capabilities> subsets(const Plan& plan) {
  std::vector<Capabilities> found;
  for (const Scenario& scenario : plan.scenarios) {
    if (!scenario.without.empty()) found.push_back(scenario.without);
  }
  REQUIRE(!found.empty());
  found.pop_back();
  return found;
}

TEST_CASE("every plan has each kind, with everything offered first") {
  const Plan plan = plan_of(using_({}));
  std::set<Scenario::Kind> kinds;
  for (const Scenario& scenario : plan.scenarios) kinds.insert(scenario.kind);
  CHECK(kinds.size() == 5);
  CHECK(plan.scenarios.front().kind == Scenario::Kind::load);
  CHECK(plan.left_out.empty());
}

TEST_CASE("an app that uses nothing is run once without all that it does not require") {
  const Plan plan = plan_of(using_({}, {"log/1"}));
  CHECK(subsets(plan).empty());
  const Capabilities& without = plan.scenarios.back().without;
  CHECK(without.size() == app::Offer::of_server().ids().size() - 1);
  CHECK(std::find(without.begin(), without.end(), "log/1") == without.end());
}

TEST_CASE("each subset of what is used and offered is withheld once, small ones first") {
  const auto found = subsets(plan_of(using_({"log/1", "com.example.thing/1", "timer/1", "log/1"})));
  CHECK(found == std::vector<Capabilities>{{"log/1"}, {"timer/1"}, {"log/1", "timer/1"}});
  const auto six =
      subsets(plan_of(using_({"log/1", "timer/1", "bus/1", "metrics/1", "drain/1", "reload/1"})));
  CHECK(six.size() == 63);
  CHECK(std::set(six.begin(), six.end()).size() == 63);
}

TEST_CASE("of more than ten capabilities each, each pair and all are withheld, and that is said") {
  const Plan plan =
      plan_of(using_({"log/1", "timer/1", "bus/1", "metrics/1", "drain/1", "reload/1", "control/1",
                      "shutdown/1", "events/1", "background/1", "thread_check/1"}));
  CHECK(subsets(plan).size() == 11 + 55 + 1);
  CHECK(plan.left_out.find("11 capabilities") != std::string::npos);
}

}  // namespace
}  // namespace sonicorn::conformance
