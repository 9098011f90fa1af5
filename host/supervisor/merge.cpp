#include "supervisor/merge.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <string_view>
#include <utility>

namespace sonicorn::supervisor {
namespace {

using Json = nlohmann::json;

constexpr const char* kSums[] = {"requests", "errors", "in_flight", "pool_calls"};
constexpr const char* kAlls[] = {"ready", "healthy", "serving"};

void add_worker(Json& app, const Json& report, const Said& said) {
  Json own = {{"worker", said.worker}, {"pid", said.pid}};
  for (const char* const key : kSums) own[key] = report.value(key, std::uint64_t{0});
  for (const char* const key : kAlls) own[key] = report.value(key, false);
  own["generation"] = report.value("generation", std::uint64_t{0});
  app["workers"].push_back(std::move(own));
}

double number_in(std::string_view text) {
  if (text == "+Inf" || text == "Inf") return INFINITY;
  if (text == "-Inf") return -INFINITY;
  double number = NAN;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

std::string text_of(double number) {
  if (std::isnan(number)) return "NaN";
  if (std::isinf(number)) return number > 0 ? "+Inf" : "-Inf";
  return fmt::format("{}", number);
}

// One line of a text: a comment, or a sample with its value.
struct Line {
  std::string text;  // of a sample: without the value
  bool sample = false;
  double sum = 0;
};

}  // namespace

Json merge_apps(Json apps, std::span<const Said> said, const Quarantine& quarantine) {
  for (Json& app : apps) {
    for (const char* const key : kSums) app[key] = 0;
    for (const char* const key : kAlls) app[key] = false;
    app["workers"] = Json::array();
  }
  for (const Said& each : said) {
    for (const Json& report : each.json) {
      if (!report.is_object() || !report.contains("name")) continue;
      const auto app = std::find_if(apps.begin(), apps.end(),
                                    [&](const Json& one) { return one["name"] == report["name"]; });
      // It was told to leave a moment ago.
      if (app == apps.end()) continue;
      const Json before = *app;
      const bool is_first = before["workers"].empty();
      if (is_first) app->update(report);
      for (const char* const key : kSums) {
        (*app)[key] = before[key].get<std::uint64_t>() + report.value(key, std::uint64_t{0});
      }
      for (const char* const key : kAlls) {
        (*app)[key] = (is_first || before[key].get<bool>()) && report.value(key, false);
      }
      add_worker(*app, report, each);
    }
  }
  for (Json& app : apps) {
    const std::string name = app["name"];
    const auto total = quarantine.totals().find(name);
    app["crashes"] = total == quarantine.totals().end() ? 0 : total->second;
    app["quarantined"] = quarantine.names().count(name) != 0;
    if (app["quarantined"]) app["serving"] = app["ready"] = false;
  }
  return apps;
}

std::string merge_metrics(std::span<const Said> said) {
  std::vector<Line> lines;
  std::map<std::string, std::size_t, std::less<>> places;
  for (const Said& each : said) {
    if (!each.json.is_string()) continue;
    const std::string& text = each.json.get_ref<const std::string&>();
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = std::min(text.find('\n', begin), text.size());
      const std::string_view line(text.data() + begin, end - begin);
      begin = end + 1;
      const bool sample = !line.empty() && line.front() != '#';
      // The value is behind the last space; label values may hold spaces.
      const std::size_t space = sample ? line.rfind(' ') : std::string_view::npos;
      const std::string_view key = line.substr(0, space);
      auto found = places.find(key);
      if (found == places.end()) {
        found = places.emplace(std::string(key), lines.size()).first;
        lines.push_back({std::string(key), sample, 0});
      }
      if (sample) lines[found->second].sum += number_in(line.substr(space + 1));
    }
  }
  // A sample that only a later worker has belongs to its family, so families are put together.
  std::vector<std::pair<std::string, std::vector<const Line*>>> families;
  std::map<std::string, std::size_t, std::less<>> place_of;
  std::string current;
  for (const Line& line : lines) {
    std::string family = line.text;
    if (!line.sample) {
      // "# HELP NAME TEXT", "# TYPE NAME KIND"
      const std::size_t name = std::min(line.text.find(' ', 2), line.text.size() - 1) + 1;
      family = current = line.text.substr(name, line.text.find(' ', name) - name);
    } else {
      family = line.text.substr(0, line.text.find_first_of("{ "));
      for (const std::string_view suffix : {"_bucket", "_sum", "_count"}) {
        const std::string stem =
            family.substr(0, family.size() - std::min(suffix.size(), family.size()));
        if (family.ends_with(suffix) && place_of.find(stem) != place_of.end()) family = stem;
      }
    }
    auto place = place_of.find(family);
    if (place == place_of.end()) {
      place = place_of.emplace(family, families.size()).first;
      families.push_back({family, {}});
    }
    families[place->second].second.push_back(&line);
  }
  std::string merged;
  for (const auto& [family, members] : families) {
    for (const Line* const line : members) {
      merged += line->text;
      if (line->sample) merged += " " + text_of(line->sum);
      merged += '\n';
    }
  }
  return merged;
}

}  // namespace sonicorn::supervisor
