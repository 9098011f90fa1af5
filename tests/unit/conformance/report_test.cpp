#include "conformance/report.hpp"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

namespace sonicorn::conformance {
namespace {

Report sample() {
  Report report;
  report.file = "/x/a.so";
  report.name = "a<b>&\"c\"";
  report.version = "1.0";
  report.results = {
      {.scenario = "load", .skipped = {}, .findings = {}, .duration = {}},
      {.scenario = "a request",
       .skipped = {},
       .findings = {{.id = "check.crash",
                     .level = Level::error,
                     .message = "it \x01 crashed: <\xff>",
                     .remedy = "mend it",
                     .where = {"#0 f & g"}},
                    {.id = "check.extra_export",
                     .level = Level::note,
                     .message = "]]> is no end",
                     .remedy = "hide it",
                     .where = {}}},
       .duration = {}},
      {.scenario = "50 runs", .skipped = "it cannot", .findings = {}, .duration = {}}};
  return report;
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (auto at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

TEST_CASE("a report is ok unless a finding is an error") {
  Report report = sample();
  CHECK_FALSE(report.ok());
  CHECK(report.results[0].ok());
  report.results[1].findings.erase(report.results[1].findings.begin());
  CHECK(report.ok());
  CHECK(report.count(Level::error) == 0);
  CHECK(report.count(Level::note) == 1);
}

TEST_CASE("the text has each scenario with its verdict, and each finding with what to do") {
  const Report report = sample();
  CHECK(to_text(report.results[0]).find("ok") != std::string::npos);
  const std::string text = to_text(report.results[1]);
  for (const char* part : {"FAILED", "error check.crash", "to do: mend it", "#0 f & g",
                           "note check.extra_export", "to do: hide it"}) {
    CAPTURE(std::string(part));
    CHECK(text.find(part) != std::string::npos);
  }
  CHECK(text.find('\x01') == std::string::npos);
  CHECK(to_text(report.results[2]).find("skipped: it cannot") != std::string::npos);
  CHECK(summary_of(report).find("FAILED; 3 scenarios, 1 failed, 1 skipped; 1 error, 0 warnings, "
                                "1 note") != std::string::npos);
}

TEST_CASE("the JSON has every key, whatever bytes the app has") {
  const auto object = nlohmann::json::parse(to_json(sample()));
  CHECK(object["file"] == "/x/a.so");
  CHECK(object["ok"] == false);
  REQUIRE(object["scenarios"].size() == 3);
  CHECK(object["scenarios"][0]["ok"] == true);
  CHECK(object["scenarios"][1]["ok"] == false);
  CHECK(object["scenarios"][2]["skipped"] == "it cannot");
  REQUIRE(object["findings"].size() == 2);
  for (const char* key : {"id", "level", "scenario", "message", "remedy"}) {
    CAPTURE(std::string(key));
    CHECK(object["findings"][0][key].is_string());
  }
  CHECK(object["findings"][0]["scenario"] == "a request");
  CHECK(object["findings"][0]["level"] == "error");
}

TEST_CASE("the JUnit report escapes what is markup and replaces what is no character") {
  const std::string text = to_junit(sample());
  CHECK(text.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"));
  CHECK(text.find("tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"1\"") != std::string::npos);
  CHECK(count(text, "<testcase ") == 3);
  CHECK(count(text, "</testcase>") == 3);
  CHECK(count(text, "<failure ") == 1);
  CHECK(text.find("a&lt;b&gt;&amp;&quot;c&quot;") != std::string::npos);
  CHECK(text.find("it ? crashed: &lt;\xef\xbf\xbd&gt;") != std::string::npos);
  CHECK(text.find("]]&gt; is no end") != std::string::npos);
  CHECK(text.find("]]>") == std::string::npos);
}

}  // namespace
}  // namespace sonicorn::conformance
