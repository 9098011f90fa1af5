#include "app/metrics.hpp"

#include <doctest/doctest.h>
#include <prometheus/counter.h>
#include <prometheus/registry.h>

#include <cmath>
#include <limits>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

using sonicorn::app::Metrics;

namespace {

constexpr std::uint32_t kCounter = SONICORN_METRIC_COUNTER;
constexpr std::uint32_t kGauge = SONICORN_METRIC_GAUGE;
constexpr std::uint32_t kHistogram = SONICORN_METRIC_HISTOGRAM;

bool has_line(const std::string& text, std::string_view line) {
  return ("\n" + text).find("\n" + std::string(line) + "\n") != std::string::npos;
}

std::size_t count(std::string_view text, std::string_view what) {
  std::size_t found = 0;
  for (auto at = text.find(what); at != text.npos; at = text.find(what, at + 1)) ++found;
  return found;
}

}  // namespace

TEST_SUITE("app.metrics") {
  TEST_CASE("counter, gauge and histogram are in the text with help, type and app") {
    Metrics metrics;
    auto* const seen = metrics.get("shop", kCounter, "seen", "What was seen.");
    auto* const open = metrics.get("shop", kGauge, "open", "What is open.");
    auto* const took = metrics.get("shop", kHistogram, "took_seconds", "How long it took.");
    REQUIRE(seen != nullptr);
    REQUIRE(open != nullptr);
    REQUIRE(took != nullptr);
    Metrics::add(seen, 2);
    Metrics::add(seen, 0.5);
    Metrics::set(open, 10);
    Metrics::add(open, -3);
    Metrics::set(took, 0.005);
    Metrics::set(took, 0.3);
    Metrics::set(took, 60);
    const std::string text = metrics.text();
    CAPTURE(text);
    CHECK(has_line(text, "# HELP seen What was seen."));
    CHECK(has_line(text, "# TYPE seen counter"));
    CHECK(has_line(text, "seen{app=\"shop\"} 2.5"));
    CHECK(has_line(text, "# TYPE open gauge"));
    CHECK(has_line(text, "open{app=\"shop\"} 7"));
    CHECK(has_line(text, "# TYPE took_seconds histogram"));
    CHECK(has_line(text, "took_seconds_count{app=\"shop\"} 3"));
    CHECK(has_line(text, "took_seconds_sum{app=\"shop\"} 60.305"));
    CHECK(has_line(text, "took_seconds_bucket{app=\"shop\",le=\"0.005\"} 1"));
    CHECK(has_line(text, "took_seconds_bucket{app=\"shop\",le=\"0.25\"} 1"));
    CHECK(has_line(text, "took_seconds_bucket{app=\"shop\",le=\"10\"} 2"));
    CHECK(has_line(text, "took_seconds_bucket{app=\"shop\",le=\"+Inf\"} 3"));
    CHECK(count(text, "took_seconds_bucket") == 12);
  }

  TEST_CASE("what the logs have dropped is in the text of every server") {
    const std::string text = Metrics().text();
    CAPTURE(text);
    for (const std::string name :
         {"sonicorn_log_lines_dropped_total", "sonicorn_access_log_lines_dropped_total"}) {
      CHECK(count(text, "# HELP " + name + " ") == 1);
      CHECK(has_line(text, "# TYPE " + name + " counter"));
      CHECK(text.find("\n" + name + " ") != std::string::npos);
    }
  }

  TEST_CASE("the same name of the same app is the same metric, of another app one more sample") {
    Metrics metrics;
    auto* const first = metrics.get("a", kCounter, "seen", "One.");
    auto* const other = metrics.get("b", kCounter, "seen", "Two.");
    REQUIRE(first != nullptr);
    REQUIRE(other != nullptr);
    CHECK(metrics.get("a", kCounter, "seen", "Three.") == first);
    CHECK(other != first);
    Metrics::add(first, 1);
    Metrics::add(other, 2);
    const std::string text = metrics.text();
    CHECK(has_line(text, "seen{app=\"a\"} 1"));
    CHECK(has_line(text, "seen{app=\"b\"} 2"));
    CHECK(count(text, "# HELP seen ") == 1);
    CHECK(count(text, "# TYPE seen ") == 1);
  }

  TEST_CASE("a malformed name is refused") {
    Metrics metrics;
    for (const char* name : {"", "1a", "A", "aB", "a-b", "a b", "a:b", "a.b", "\xC3\xA4", "a\n",
                             "sonicorn_seen", "sonicorn_", "__reserved"}) {
      CAPTURE(name);
      CHECK(metrics.get("a", kCounter, name, "") == nullptr);
    }
    CHECK(metrics.get("a", kCounter, std::string(201, 'a'), "") == nullptr);
    CHECK(metrics.get("a", kCounter, std::string_view("a\0b", 3), "") == nullptr);
    CHECK(metrics.text() == Metrics().text());
    for (const std::string& name :
         {std::string(200, 'a'), std::string("_"), std::string("_9"), std::string("sonicorn")}) {
      CAPTURE(name);
      CHECK(metrics.get("a", kCounter, name, "") != nullptr);
    }
  }

  TEST_CASE("a name has one kind, also across apps, and no kind but the three") {
    Metrics metrics;
    REQUIRE(metrics.get("a", kCounter, "seen", "") != nullptr);
    CHECK(metrics.get("a", kGauge, "seen", "") == nullptr);
    CHECK(metrics.get("b", kHistogram, "seen", "") == nullptr);
    CHECK(metrics.get("a", 0, "other", "") == nullptr);
    CHECK(metrics.get("a", 4, "other", "") == nullptr);
    CHECK(metrics.get("a", kGauge, "other", "") != nullptr);
  }

  TEST_CASE("a name that would repeat a line of a histogram is refused, whichever came first") {
    Metrics metrics;
    REQUIRE(metrics.get("a", kHistogram, "took", "") != nullptr);
    CHECK(metrics.get("a", kCounter, "took_count", "") == nullptr);
    CHECK(metrics.get("b", kGauge, "took_sum", "") == nullptr);
    CHECK(metrics.get("b", kGauge, "took_bucket", "") == nullptr);
    CHECK(metrics.get("b", kGauge, "took_max", "") != nullptr);
    REQUIRE(metrics.get("a", kCounter, "lines_sum", "") != nullptr);
    CHECK(metrics.get("b", kHistogram, "lines", "") == nullptr);
    CHECK(metrics.get("b", kGauge, "lines", "") != nullptr);
    CHECK(metrics.get("b", kGauge, "_count", "") != nullptr);
  }

  TEST_CASE("what makes no sense is ignored") {
    constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
    Metrics metrics;
    auto* const seen = metrics.get("a", kCounter, "seen", "");
    auto* const open = metrics.get("a", kGauge, "open", "");
    auto* const took = metrics.get("a", kHistogram, "took", "");
    Metrics::add(nullptr, 1);
    Metrics::set(nullptr, 1);
    Metrics::add(seen, 1);
    Metrics::add(seen, -1);
    Metrics::add(seen, -0.0);
    Metrics::add(seen, kNan);
    Metrics::set(seen, 100);
    Metrics::set(open, 1);
    Metrics::set(open, kNan);
    Metrics::add(open, kNan);
    Metrics::add(took, 1);
    Metrics::set(took, kNan);
    const std::string text = metrics.text();
    CAPTURE(text);
    CHECK(has_line(text, "seen{app=\"a\"} 1"));
    CHECK(has_line(text, "open{app=\"a\"} 1"));
    CHECK(has_line(text, "took_count{app=\"a\"} 0"));
  }

  TEST_CASE("an app has at most 1,000 metrics, and keeps those") {
    Metrics metrics;
    for (int i = 0; i < 1000; ++i) {
      REQUIRE(metrics.get("a", kGauge, "g" + std::to_string(i), "") != nullptr);
    }
    CHECK(metrics.get("a", kGauge, "one_more", "") == nullptr);
    CHECK(metrics.get("a", kGauge, "g999", "") != nullptr);
    CHECK(metrics.get("b", kGauge, "one_more", "") != nullptr);
  }

  TEST_CASE("no help and no name of an app breaks the page") {
    Metrics metrics;
    REQUIRE(metrics.get("a\"\\\nb", kGauge, "one", "two\nlines \\ \"quoted\"") != nullptr);
    REQUIRE(metrics.get("\xFFx", kGauge, "two", "bad \xC3( \xED\xA0\x80 good \xC3\xA4") != nullptr);
    const std::string text = metrics.text();
    CAPTURE(text);
    CHECK(has_line(text, "# HELP one two\\nlines \\\\ \"quoted\""));
    CHECK(has_line(text, "one{app=\"a\\\"\\\\\\nb\"} 0"));
    CHECK(has_line(text, "# HELP two bad \uFFFD( \uFFFD\uFFFD\uFFFD good \xC3\xA4"));
    CHECK(has_line(text, "two{app=\"\uFFFDx\"} 0"));
  }

  TEST_CASE("the server's own numbers go into the same text") {
    Metrics metrics;
    prometheus::BuildCounter()
        .Name("sonicorn_requests_total")
        .Help("Requests.")
        .Register(metrics.registry())
        .Add({})
        .Increment(3);
    CHECK(has_line(metrics.text(), "sonicorn_requests_total 3"));
  }

  TEST_CASE("threads find, count and read at once, and nothing is lost") {
    constexpr int kThreads = 4;
    constexpr int kRounds = 2000;
    Metrics metrics;
    std::vector<std::thread> threads;
    threads.reserve(kThreads);
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&metrics, t] {
        const std::string own = "own_" + std::to_string(t);
        for (int i = 0; i < kRounds; ++i) {
          Metrics::add(metrics.get("a", kCounter, "all", ""), 1);
          Metrics::set(metrics.get("a", kHistogram, "took", ""), 0.1);
          Metrics::add(metrics.get("a", kGauge, own, ""), 1);
          if (i % 500 == 0) (void)metrics.text();
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
    const std::string text = metrics.text();
    CHECK(has_line(text, "all{app=\"a\"} 8000"));
    CHECK(has_line(text, "took_count{app=\"a\"} 8000"));
    CHECK(has_line(text, "own_3{app=\"a\"} 2000"));
  }
}
