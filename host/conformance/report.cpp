#include "conformance/report.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <string_view>

namespace sonicorn::conformance {
namespace {

using nlohmann::json;

// As valid UTF-8.
std::string utf8(std::string_view text) {
  const std::string quoted =
      json(std::string(text)).dump(-1, ' ', false, json::error_handler_t::replace);
  return json::parse(quoted).get<std::string>();
}

// On one line, whatever there is in it; of any length, unlike config::one_line.
std::string one_line(std::string_view text) {
  std::string line = utf8(text);
  for (char& c : line) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = c == '\n' || c == '\t' ? ' ' : '?';
  }
  return line;
}

// Character data or the value of an attribute (XML 1.0, 2.2 and 2.4).
std::string xml(std::string_view text) {
  std::string escaped;
  for (const char c : utf8(text)) {
    switch (c) {
      case '&':
        escaped += "&amp;";
        break;
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '"':
        escaped += "&quot;";
        break;
      case '\n':
        escaped += "&#10;";
        break;
      default:
        // XML has no way to write the others.
        escaped += static_cast<unsigned char>(c) < 0x20 && c != '\t' ? '?' : c;
    }
  }
  // Two code points are no characters there either: U+FFFE and U+FFFF.
  for (const char* const forbidden : {"\xef\xbf\xbe", "\xef\xbf\xbf"}) {
    for (std::size_t at; (at = escaped.find(forbidden)) != std::string::npos;) {
      escaped.replace(at, 3, "?");
    }
  }
  return escaped;
}

// Several lines without escapes.
std::string text_of(const Finding& finding) {
  std::string text = fmt::format("{} {}: {}\nto do: {}\n", name_of(finding.level), finding.id,
                                 finding.message, finding.remedy);
  for (const std::string& line : finding.where) text += line + "\n";
  return text;
}

std::string_view verdict_of(const Result& result) {
  if (!result.skipped.empty()) return "skipped";
  return result.ok() ? "ok" : "FAILED";
}

json to_object(const Finding& finding, const std::string& scenario) {
  return {{"id", finding.id},         {"level", name_of(finding.level)},
          {"scenario", scenario},     {"message", finding.message},
          {"remedy", finding.remedy}, {"where", finding.where}};
}

std::string counted(std::size_t count, std::string_view what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

}  // namespace

std::string to_text(const Result& result) {
  constexpr int kWidth = 44;
  std::string text = result.skipped.empty()
                         ? fmt::format("{:{}} {:7} {:6.2f} s\n", one_line(result.scenario), kWidth,
                                       verdict_of(result), result.duration.count())
                         : fmt::format("{:{}} skipped: {}\n", one_line(result.scenario), kWidth,
                                       one_line(result.skipped));
  for (const Finding& finding : result.findings) {
    text +=
        fmt::format("  {} {}: {}\n", name_of(finding.level), finding.id, one_line(finding.message));
    text += fmt::format("    to do: {}\n", one_line(finding.remedy));
    for (const std::string& line : finding.where) {
      text += fmt::format("      {}\n", one_line(line));
    }
  }
  return text;
}

std::string summary_of(const Report& report) {
  std::size_t failed = 0;
  std::size_t skipped = 0;
  for (const Result& result : report.results) {
    if (!result.ok()) ++failed;
    if (!result.skipped.empty()) ++skipped;
  }
  return fmt::format(
      "{}: {}; {}, {} failed, {} skipped; {}, {}, {}\n", one_line(report.file.string()),
      report.ok() ? "ok" : "FAILED", counted(report.results.size(), "scenario"), failed, skipped,
      counted(report.count(Level::error), "error"),
      counted(report.count(Level::warning), "warning"), counted(report.count(Level::note), "note"));
}

std::string to_json(const Report& report) {
  json scenarios = json::array();
  json findings = json::array();
  for (const Result& result : report.results) {
    json scenario = {
        {"name", result.scenario}, {"ok", result.ok()}, {"seconds", result.duration.count()}};
    scenario["skipped"] = result.skipped.empty() ? json() : json(result.skipped);
    scenarios.push_back(std::move(scenario));
    for (const Finding& finding : result.findings) {
      findings.push_back(to_object(finding, result.scenario));
    }
  }
  const json object = {{"file", report.file.string()}, {"name", report.name},
                       {"version", report.version},    {"ok", report.ok()},
                       {"scenarios", scenarios},       {"findings", findings}};
  return object.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

std::string to_junit(const Report& report) {
  std::size_t failed = 0;
  std::size_t skipped = 0;
  double seconds = 0;
  for (const Result& result : report.results) {
    if (!result.ok()) ++failed;
    if (!result.skipped.empty()) ++skipped;
    seconds += result.duration.count();
  }
  std::string text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n";
  text += fmt::format(
      "  <testsuite name=\"sonicorn check {}\" tests=\"{}\" failures=\"{}\" errors=\"0\" "
      "skipped=\"{}\" time=\"{:.3f}\">\n",
      xml(report.name), report.results.size(), failed, skipped, seconds);
  for (const Result& result : report.results) {
    text += fmt::format("    <testcase classname=\"{}\" name=\"{}\" time=\"{:.3f}\">\n",
                        xml(report.name), xml(result.scenario), result.duration.count());
    if (!result.skipped.empty()) {
      text += fmt::format("      <skipped message=\"{}\"/>\n", xml(result.skipped));
    }
    std::string others;
    for (const Finding& finding : result.findings) {
      if (finding.level != Level::error) {
        others += text_of(finding);
        continue;
      }
      text += fmt::format("      <failure type=\"{}\" message=\"{}\">{}</failure>\n",
                          xml(finding.id), xml(finding.message), xml(text_of(finding)));
    }
    if (!others.empty()) text += fmt::format("      <system-out>{}</system-out>\n", xml(others));
    text += "    </testcase>\n";
  }
  return text + "  </testsuite>\n</testsuites>\n";
}

}  // namespace sonicorn::conformance
