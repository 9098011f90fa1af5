#include "conformance/scenario.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace sonicorn::conformance {
namespace {

using Capabilities = std::vector<std::string>;

bool contains(const Capabilities& all, std::string_view id) {
  return std::find(all.begin(), all.end(), id) != all.end();
}

std::vector<Capabilities> every_subset(const Capabilities& all) {
  std::vector<Capabilities> subsets;
  for (std::size_t chosen = 1; chosen < std::size_t{1} << all.size(); ++chosen) {
    Capabilities& subset = subsets.emplace_back();
    for (std::size_t i = 0; i < all.size(); ++i) {
      if ((chosen >> i & 1U) != 0) subset.push_back(all[i]);
    }
  }
  // One withheld capability is easier to understand than five.
  std::stable_sort(subsets.begin(), subsets.end(),
                   [](const auto& a, const auto& b) { return a.size() < b.size(); });
  return subsets;
}

std::vector<Capabilities> some_subsets(const Capabilities& all) {
  std::vector<Capabilities> subsets;
  for (const std::string& each : all) subsets.push_back({each});
  for (std::size_t i = 0; i < all.size(); ++i) {
    for (std::size_t j = i + 1; j < all.size(); ++j) subsets.push_back({all[i], all[j]});
  }
  subsets.push_back(all);
  return subsets;
}

}  // namespace

Plan plan_for(const app::Inspection& inspection, const app::Offer& offered, unsigned runs) {
  using Kind = Scenario::Kind;
  Plan plan;
  plan.scenarios = {
      {"load", Kind::load, 1, {}},
      {"no request", Kind::idle, 1, {}},
      {"a request", Kind::request, 1, {}},
      {"requests during shutdown", Kind::stopping, 1, {}},
      {fmt::format("{} {}", runs, runs == 1 ? "run" : "runs"), Kind::cycles, runs, {}}};

  Capabilities optional;
  for (const std::string& id : inspection.uses) {
    if (offered.has(id) && !contains(optional, id)) optional.push_back(id);
  }
  const bool all = optional.size() <= kEverySubset;
  for (Capabilities& subset : all ? every_subset(optional) : some_subsets(optional)) {
    plan.scenarios.push_back({fmt::format("without {}", fmt::join(subset, ", ")), Kind::cycles,
                              std::min(runs, kFewRuns), std::move(subset)});
  }
  if (!all) {
    plan.left_out = fmt::format(
        "uses {} capabilities, too many to withhold each combination of them: each alone, each "
        "pair, and all of them are withheld",
        optional.size());
  }

  Capabilities rest;
  for (const std::string_view id : offered.ids()) {
    if (!contains(inspection.requires_, id)) rest.emplace_back(id);
  }
  plan.scenarios.push_back({"without all that it does not require", Kind::cycles,
                            std::min(runs, kFewRuns), std::move(rest)});
  return plan;
}

}  // namespace sonicorn::conformance
