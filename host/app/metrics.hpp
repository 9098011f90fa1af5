#pragma once

#include <sonicorn/capability/metrics.h>

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace prometheus {
class Registry;
}

namespace sonicorn::app {

// The numbers of all apps of one process, for metrics/1. Each carries the label app="NAME", and a
// later generation of an app goes on counting where the one before stopped. Thread-safe; a metric
// is valid as long as this object.
class Metrics {
 public:
  Metrics();
  ~Metrics();
  Metrics(const Metrics&) = delete;
  Metrics& operator=(const Metrics&) = delete;

  // Finds or makes the metric `name` of `app`, of a SONICORN_METRIC_... kind. What several apps
  // give to one name is one family with the help text that came first. NULL when the name is
  // malformed ([a-z_][a-z0-9_]*, at most 200 bytes), begins like the server's ("sonicorn_") or
  // Prometheus' own ("__"), has another kind already, also by another app, or would share a line
  // of the text with a histogram (x_count beside the histogram x), and when the app has 1,000
  // metrics already.
  sonicorn_metric* get(std::string_view app, std::uint32_t kind, std::string_view name,
                       std::string_view help);

  // What the functions of metrics/1 do. What makes no sense is ignored: NULL, the wrong kind, NaN,
  // a negative amount for a counter. Neither throws.
  static void add(sonicorn_metric* metric, double amount);
  static void set(sonicorn_metric* metric, double value);

  // All of them in Prometheus' text format 0.0.4, "text/plain; version=0.0.4".
  std::string text() const;

  // Where the server adds numbers of its own, named "sonicorn_...". Thread-safe itself.
  prometheus::Registry& registry() { return *registry_; }

 private:
  struct Family {
    std::uint32_t kind;
    std::string help;
  };
  using OfApp = std::map<std::string, std::unique_ptr<sonicorn_metric>, std::less<>>;

  bool clashes(std::uint32_t kind, std::string_view name) const;
  std::unique_ptr<sonicorn_metric> make(std::string_view app, const std::string& name,
                                        const Family& family);

  std::unique_ptr<prometheus::Registry> registry_;
  std::mutex mutex_;
  std::map<std::string, Family, std::less<>> families_;
  std::map<std::string, OfApp, std::less<>> apps_;
};

}  // namespace sonicorn::app
