#include "app/metrics.hpp"

#include <fmt/format.h>
#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <exception>
#include <iterator>
#include <utility>

#include "core/log.hpp"
#include "core/text.hpp"

// One of the pointers is set, and says the kind.
struct sonicorn_metric {
  std::uint32_t kind = 0;
  prometheus::Counter* counter = nullptr;
  prometheus::Gauge* gauge = nullptr;
  prometheus::Histogram* histogram = nullptr;
};

namespace sonicorn::app {
namespace {

constexpr std::size_t kLongestMetric = 200;
constexpr std::size_t kMostOfApp = 1000;
constexpr std::string_view kOfServer = "sonicorn_";
constexpr std::string_view kOfPrometheus = "__";

// What Prometheus' own clients take when nothing is said: seconds, for the time of a request. Made
// at each use, for a static destructor of an app may ask for a histogram.
prometheus::Histogram::BucketBoundaries buckets() {
  return {0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10};
}

// What a histogram appends to its name.
constexpr std::array<std::string_view, 3> kOfHistogram = {"_bucket", "_sum", "_count"};

bool well_formed(std::string_view name) {
  const auto begins = [](char c) { return (c >= 'a' && c <= 'z') || c == '_'; };
  const auto goes_on = [&](char c) { return begins(c) || (c >= '0' && c <= '9'); };
  return !name.empty() && name.size() <= kLongestMetric && begins(name.front()) &&
         std::all_of(name.begin(), name.end(), goes_on) && !name.starts_with(kOfServer) &&
         !name.starts_with(kOfPrometheus);
}

// The serializer writes help as it is, and the format wants these two escaped.
std::string as_help(std::string_view text) {
  std::string escaped;
  for (const char c : core::as_utf8(text)) {
    if (c == '\\') {
      escaped += "\\\\";
    } else if (c == '\n') {
      escaped += "\\n";
    } else {
      escaped += c;
    }
  }
  return escaped;
}

void append_counter(std::string& to, std::string_view name, std::string_view help,
                    std::uint64_t value) {
  fmt::format_to(std::back_inserter(to), "# HELP {} {}\n# TYPE {} counter\n{} {}\n", name, help,
                 name, name, value);
}

}  // namespace

Metrics::Metrics() : registry_(std::make_unique<prometheus::Registry>()) {}

Metrics::~Metrics() = default;

sonicorn_metric* Metrics::get(std::string_view app, std::uint32_t kind, std::string_view name,
                              std::string_view help) {
  if (kind < SONICORN_METRIC_COUNTER || kind > SONICORN_METRIC_HISTOGRAM) return nullptr;
  if (!well_formed(name)) return nullptr;
  const std::lock_guard lock(mutex_);
  if (clashes(kind, name)) return nullptr;
  auto of_app = apps_.find(app);
  if (of_app == apps_.end()) of_app = apps_.emplace(app, OfApp()).first;
  OfApp& metrics = of_app->second;
  if (const auto found = metrics.find(name); found != metrics.end()) return found->second.get();
  if (metrics.size() >= kMostOfApp) return nullptr;

  auto family = families_.find(name);
  const bool is_new = family == families_.end();
  if (is_new) family = families_.emplace(name, Family{kind, as_help(help)}).first;
  try {
    return metrics.emplace(name, make(core::as_utf8(app), family->first, family->second))
        .first->second.get();
  } catch (const std::exception&) {
    if (is_new) families_.erase(family);
    throw;
  }
}

bool Metrics::clashes(std::uint32_t kind, std::string_view name) const {
  if (const auto same = families_.find(name); same != families_.end()) {
    return same->second.kind != kind;
  }
  for (const std::string_view suffix : kOfHistogram) {
    if (kind == SONICORN_METRIC_HISTOGRAM && families_.contains(std::string(name) += suffix)) {
      return true;
    }
    if (!name.ends_with(suffix)) continue;
    const auto base = families_.find(name.substr(0, name.size() - suffix.size()));
    if (base != families_.end() && base->second.kind == SONICORN_METRIC_HISTOGRAM) return true;
  }
  return false;
}

std::unique_ptr<sonicorn_metric> Metrics::make(std::string_view app, const std::string& name,
                                               const Family& family) {
  const prometheus::Labels labels = {{"app", std::string(app)}};
  auto metric = std::make_unique<sonicorn_metric>();
  metric->kind = family.kind;
  // The registry merges: the second Register of a name finds the family of the first.
  switch (family.kind) {
    case SONICORN_METRIC_COUNTER:
      metric->counter =
          &prometheus::BuildCounter().Name(name).Help(family.help).Register(*registry_).Add(labels);
      break;
    case SONICORN_METRIC_GAUGE:
      metric->gauge =
          &prometheus::BuildGauge().Name(name).Help(family.help).Register(*registry_).Add(labels);
      break;
    default:
      metric->histogram = &prometheus::BuildHistogram()
                               .Name(name)
                               .Help(family.help)
                               .Register(*registry_)
                               .Add(labels, buckets());
  }
  return metric;
}

void Metrics::add(sonicorn_metric* metric, double amount) {
  if (metric == nullptr || std::isnan(amount)) return;
  if (metric->kind == SONICORN_METRIC_COUNTER && amount > 0) metric->counter->Increment(amount);
  if (metric->kind == SONICORN_METRIC_GAUGE) metric->gauge->Increment(amount);
}

void Metrics::set(sonicorn_metric* metric, double value) {
  if (metric == nullptr || std::isnan(value)) return;
  if (metric->kind == SONICORN_METRIC_GAUGE) metric->gauge->Set(value);
  if (metric->kind == SONICORN_METRIC_HISTOGRAM) metric->histogram->Observe(value);
}

std::string Metrics::text() const {
  std::string text = prometheus::TextSerializer().Serialize(registry_->Collect());
  append_counter(text, "sonicorn_log_lines_dropped_total",
                 "Lines of the server's log that could not be written.", core::log::dropped());
  append_counter(text, "sonicorn_access_log_lines_dropped_total",
                 "Lines of the access log that could not be written.",
                 core::log::dropped_access_lines().load());
  return text;
}

}  // namespace sonicorn::app
