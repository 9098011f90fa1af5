#include <algorithm>
#include <nlohmann/json.hpp>

#include "support/support.hpp"

// `sonicorn inspect FILE [--json]`: what it says of each fixture, and that it runs none of them.

using namespace support;
using nlohmann::json;
using std::string;

namespace {

struct Inspected {
  int exit_status = -1;
  json report;
};

Inspected inspect(const string& file) {
  const Outcome outcome = run_sonicorn({"inspect", file, "--json"});
  CAPTURE(file);
  CHECK(outcome.ending.signal == 0);
  Inspected result{outcome.ending.status, json::parse(outcome.output, nullptr, false)};
  REQUIRE_MESSAGE(!result.report.is_discarded(), outcome.output << outcome.errors);
  CHECK(result.report["loadable"] == (result.exit_status == 0));
  CHECK(result.report["reasons"].empty() == (result.exit_status == 0));
  return result;
}

Inspected inspect_fixture(const string& name) { return inspect(fixture(name)); }

// Whether one of the reasons contains the text.
bool has_reason(const json& report, const string& text) {
  return std::any_of(report["reasons"].begin(), report["reasons"].end(), [&](const json& reason) {
    return reason.get<string>().find(text) != string::npos;
  });
}

bool has_hazard(const json& report, const string& id) {
  return std::any_of(report["hazards"].begin(), report["hazards"].end(), [&](const json& hazard) {
    CHECK(hazard["detail"].is_string());
    return hazard["id"] == id;
  });
}

}  // namespace

TEST_SUITE("inspect") {
  TEST_CASE("a report has every key, with its type") {
    for (const char* name :
         {"echo", "exports_nothing", "wrong_major", "no_mark", "full_manifest"}) {
      CAPTURE(string(name));
      const json report = inspect_fixture(name).report;
      for (const char* key : {"file", "name", "version", "abi", "build_id", "threads", "overlap"}) {
        CAPTURE(string(key));
        CHECK(report[key].is_string());
      }
      for (const char* key :
           {"attributes", "unknown_attributes", "requires", "uses", "hazards", "reasons"}) {
        CAPTURE(string(key));
        CHECK(report[key].is_array());
      }
      CHECK(report["blocking"].is_boolean());
      CHECK(report["loadable"].is_boolean());
      CHECK(report["file"].get<string>().find(string(name) + ".so") != string::npos);
    }
  }

  TEST_CASE("the manifest is read from the file") {
    const Inspected inspected = inspect_fixture("full_manifest");
    const json& report = inspected.report;
    CHECK(inspected.exit_status == 0);
    CHECK(report["name"] == "full");
    CHECK(report["version"] == "1.2.3");
    CHECK(report["abi"] == "1.0");
    CHECK(report["requires"] == json{"shutdown/1"});
    CHECK(report["uses"] == json{"log/1", "com.example.thing/2"});
    CHECK(report["threads"] == "serial");
    CHECK(report["blocking"] == false);
    CHECK(report["overlap"] == "exclusive");
    json attributes = report["attributes"];
    std::sort(attributes.begin(), attributes.end());
    CHECK(attributes == json{"health", "shutdown", "start"});
    CHECK(report["unknown_attributes"].empty());
    const string build_id = report["build_id"];
    CHECK(build_id.size() == 40);
    CHECK(build_id.find_first_not_of("0123456789abcdef") == string::npos);
  }

  TEST_CASE("what the manifest does not say has its default") {
    const Inspected inspected = inspect_fixture("only_on_request");
    const json& report = inspected.report;
    CHECK(inspected.exit_status == 0);
    CHECK(report["name"] == "only_on_request");
    CHECK(report["version"] == "");
    CHECK(report["requires"].empty());
    CHECK(report["uses"].empty());
    CHECK(report["threads"] == "concurrent");
    CHECK(report["blocking"] == true);
    CHECK(report["overlap"] == "allowed");
    CHECK(inspect_fixture("no_build_id").report["build_id"] == "");
  }

  TEST_CASE("exactly the attributes that an object itself defines are its own") {
    const std::vector<std::pair<string, json>> expected{
        {"exports_nothing", json::array()},
        {"only_on_request", {"on_request"}},
        {"calls_libc", {"on_request"}},
        {"borrows", {"on_request"}},
        {"misspelt", {"on_request"}},
        {"throws", {"on_request", "start"}},
        {"start_fails", {"on_request", "shutdown", "start"}},
    };
    for (const auto& app : expected) {
      const string& name = app.first;
      CAPTURE(string(name));
      const Inspected inspected = inspect_fixture(name);
      const json& report = inspected.report;
      CHECK(inspected.exit_status == 0);
      json found = report["attributes"];
      std::sort(found.begin(), found.end());
      CHECK(found == app.second);
    }
  }

  TEST_CASE("no code of the file runs") {
    for (const char* name : {"constructor_crashes", "constructor_hangs", "constructor_exits"}) {
      CAPTURE(string(name));
      CHECK(inspect_fixture(name).exit_status == 0);
    }
  }

  TEST_CASE("a misspelt attribute is no refusal, but it is told") {
    const json report = inspect_fixture("misspelt").report;
    CHECK(report["unknown_attributes"] == json{"sonicorn_shutdwon"});
    const Outcome text = run_sonicorn({"inspect", fixture("misspelt")});
    CHECK(text.output.find("sonicorn_shutdwon") != string::npos);
    CHECK(text.output.find("sonicorn_shutdown") != string::npos);
  }

  TEST_CASE("what cannot be loaded is not loadable, for a reason that names the cause") {
    const std::vector<std::pair<string, string>> expected{
        {"wrong_major", "2"},
        {"newer_minor", "1.99"},
        {"missing_symbol", "function_that_nobody_defines"},
        {"data_attribute", "sonicorn_on_request"},
        {"requires_missing", "com.example.nothing/1"},
        {"bad_manifest", "blocking"},
        {"no_mark", "ABI"},
    };
    for (const auto& app : expected) {
      const string& name = app.first;
      CAPTURE(string(name));
      const Inspected inspected = inspect_fixture(name);
      const json& report = inspected.report;
      CAPTURE(report["reasons"].dump());
      CHECK(inspected.exit_status == 1);
      CHECK(has_reason(report, app.second));
    }
  }

  TEST_CASE("hazards are told and are no refusal") {
#ifdef SONICORN_UNIQUE_SYMBOLS
    CHECK(has_hazard(inspect_fixture("unique_symbols").report, "unique_symbols"));
    CHECK(inspect_fixture("unique_symbols").exit_status == 0);
#endif
    CHECK(has_hazard(inspect_fixture("nodelete").report, "nodelete"));
    CHECK(inspect_fixture("nodelete").exit_status == 0);
    CHECK(has_hazard(inspect_fixture("static_tls").report, "static_tls"));
    CHECK(inspect_fixture("static_tls").exit_status == 0);
    CHECK(inspect_fixture("only_on_request").report["hazards"].empty());
    CHECK(has_hazard(inspect_fixture("missing_symbol").report, "undefined_symbols"));
  }

  TEST_CASE("a file cut off anywhere is refused or read, and never a crash") {
    const TemporaryFolder folder;
    const string whole = read_file(fixture("echo"));
    const string file = folder / "cut.so";
    for (const std::size_t size :
         {std::size_t{0}, std::size_t{1}, std::size_t{16}, std::size_t{63}, std::size_t{64},
          std::size_t{200}, whole.size() / 4, whole.size() / 2}) {
      CAPTURE(size);
      write_file(file, std::string_view(whole).substr(0, size));
      CHECK(inspect(file).exit_status == 1);
    }
  }

  TEST_CASE("what is no app is refused") {
    const TemporaryFolder folder;
    write_file(folder / "text.so", "int main() { return 0; }\n");
    CHECK(inspect(folder / "text.so").exit_status == 1);
    CHECK(inspect(folder / "missing.so").exit_status == 1);
    CHECK(inspect(folder.path()).exit_status == 1);
    CHECK(inspect(executable()).exit_status == 1);
    CHECK(inspect("/dev/null").exit_status == 1);
    CHECK(inspect(fixture("libborrowed")).exit_status == 1);
  }

  TEST_CASE("a file name of any bytes gives well-formed JSON") {
    const TemporaryFolder folder;
    const string file = folder / "a\"b\xff\n.so";
    std::filesystem::copy_file(fixture("only_on_request"), file);
    CHECK(inspect(file).exit_status == 0);
  }

  TEST_CASE("the text for people says what is declared, and the verdict") {
    const Outcome good = run_sonicorn({"inspect", fixture("echo")});
    CHECK(good.ending.status == 0);
    CHECK(good.output.find("on_request") != string::npos);
    CHECK(good.output.find("shutdown") != string::npos);
    const Outcome bad = run_sonicorn({"inspect", fixture("missing_symbol")});
    CHECK(bad.ending.status == 1);
    CHECK((bad.output + bad.errors).find("function_that_nobody_defines") != string::npos);
  }

  TEST_CASE("a wrong use is told with status 2") {
    for (const std::vector<string>& arguments : std::vector<std::vector<string>>{
             {"inspect"}, {"inspect", "--jsno", fixture("echo")}, {"inspect", "a.so", "b.so"}}) {
      const Outcome outcome = run_sonicorn(arguments);
      CHECK(outcome.ending.status == 2);
      CHECK(!outcome.errors.empty());
    }
  }
}
