#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>

#include "support/support.hpp"

// `sonicorn check FILE`: what it finds of each fixture, in which form, and that it survives them.

using namespace support;
using nlohmann::json;
using std::string;

namespace {

// A check runs many processes, each of which may be slow.
constexpr std::chrono::milliseconds kCheckPatience{240'000};

Outcome run_check(std::vector<string> arguments) {
  arguments.insert(arguments.begin(), {executable(), "check"});
  Process process(std::move(arguments));
  const auto ending = process.wait(kCheckPatience);
  REQUIRE_MESSAGE(ending, process.output() << process.errors());
  return {*ending, process.output(), process.errors()};
}

struct Checked {
  int status = -1;
  json report;

  // The findings with this id.
  std::vector<json> all(const string& id) const {
    std::vector<json> found;
    for (const json& finding : report["findings"]) {
      if (finding["id"] == id) found.push_back(finding);
    }
    return found;
  }
  // The first of them, or null.
  json first(const string& id) const {
    const auto found = all(id);
    return found.empty() ? json() : found.front();
  }
  bool ok() const { return report["ok"]; }
};

Checked check(const std::filesystem::path& file, std::vector<string> flags) {
  flags.insert(flags.begin(), {file.string(), "--json"});
  const Outcome outcome = run_check(flags);
  Checked checked{outcome.ending.status, json::parse(outcome.output, nullptr, false)};
  REQUIRE_MESSAGE(!checked.report.is_discarded(), outcome.output << outcome.errors);
  CHECK(checked.ok() == (checked.status == 0));
  for (const json& finding : checked.report["findings"]) {
    CAPTURE(finding.dump());
    for (const char* key : {"id", "level", "scenario", "message", "remedy"}) {
      CHECK(!finding[key].get<string>().empty());
    }
    CHECK(finding["id"].get<string>().starts_with("check."));
  }
  return checked;
}

// With few runs, for what does not need many.
Checked check_fixture(const string& name, std::vector<string> flags = {"--runs", "3"}) {
  return check(fixture(name), std::move(flags));
}

bool contains(const json& text, const string& part) {
  return text.is_string() && text.get<string>().find(part) != string::npos;
}

bool is_somewhere(const json& lines, const string& part) {
  return std::any_of(lines.begin(), lines.end(),
                     [&](const json& line) { return contains(line, part); });
}

const json* scenario_of(const Checked& checked, const string& name) {
  for (const json& scenario : checked.report["scenarios"]) {
    if (scenario["name"] == name) return &scenario;
  }
  return nullptr;
}

// A reader of well-formed XML without declarations, comments and CDATA: whether tags are balanced,
// attributes quoted, and no markup or control character is loose.
class XmlReader {
 public:
  explicit XmlReader(const string& text) : text_(text) {}

  bool is_well_formed() {
    if (text_.compare(0, 5, "<?xml") != 0) return false;
    at_ = text_.find("?>");
    if (at_ == string::npos) return false;
    at_ += 2;
    skip_space();
    if (!element()) return false;
    skip_space();
    return at_ == text_.size();
  }
  int elements(const string& name) const {
    return static_cast<int>(std::count(names_.begin(), names_.end(), name));
  }

 private:
  void skip_space() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_])) != 0) ++at_;
  }
  bool take(const string& token) {
    if (text_.compare(at_, token.size(), token) != 0) return false;
    at_ += token.size();
    return true;
  }
  string name() {
    const std::size_t begin = at_;
    while (at_ < text_.size() &&
           (std::isalnum(static_cast<unsigned char>(text_[at_])) != 0 || text_[at_] == '-')) {
      ++at_;
    }
    return text_.substr(begin, at_ - begin);
  }
  // Up to one of `ends`, which stays.
  bool characters(const string& ends) {
    for (; at_ < text_.size() && ends.find(text_[at_]) == string::npos; ++at_) {
      const char c = text_[at_];
      if (c == '<' || (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\t'))
        return false;
      if (c != '&') continue;
      const std::size_t end = text_.find(';', at_);
      if (end == string::npos) return false;
      const string entity = text_.substr(at_ + 1, end - at_ - 1);
      const std::vector<string> known{"amp", "lt", "gt", "quot", "#10"};
      if (std::find(known.begin(), known.end(), entity) == known.end()) return false;
    }
    return at_ < text_.size();
  }
  bool element() {
    if (!take("<")) return false;
    const string own = name();
    if (own.empty()) return false;
    names_.push_back(own);
    for (skip_space(); at_ < text_.size() && text_[at_] != '>' && text_[at_] != '/'; skip_space()) {
      if (name().empty() || !take("=\"") || !characters("\"") || !take("\"")) return false;
    }
    if (take("/>")) return true;
    if (!take(">")) return false;
    for (;;) {
      if (!characters("<")) return false;
      if (take("</")) return name() == own && take(">");
      if (!element()) return false;
    }
  }

  const string& text_;
  std::size_t at_ = 0;
  std::vector<string> names_;
};

}  // namespace

TEST_SUITE("check") {
  TEST_CASE("a well-behaved app passes all scenarios, 50 runs among them") {
    // 50 unless told otherwise.
    const Checked checked = has_sanitizer() ? check_fixture("only_on_request", {"--runs", "5"})
                                            : check_fixture("only_on_request", {});
    CHECK(checked.status == 0);
    CHECK(checked.report["name"] == "only_on_request");
    for (const char* name :
         {"inspect", "load", "no request", "a request", "requests during shutdown",
          has_sanitizer() ? "5 runs" : "50 runs", "without all that it does not require"}) {
      CAPTURE(string(name));
      const json* const scenario = scenario_of(checked, name);
      REQUIRE(scenario != nullptr);
      CHECK((*scenario)["ok"] == true);
      CHECK((*scenario)["skipped"].is_null());
    }
    for (const json& finding : checked.report["findings"]) {
      CAPTURE(finding.dump());
      CHECK(finding["level"] == "note");
      CHECK(finding["id"] == "check.memory_not_judged");
    }
  }

  TEST_CASE("fixtures that behave have no finding that is an error") {
    for (const char* name : {"echo", "exports_nothing", "serial", "release"}) {
      CAPTURE(string(name));
      const Checked checked = check_fixture(name);
      CAPTURE(checked.report.dump());
      CHECK(checked.status == 0);
    }
  }

  TEST_CASE("a thread that is left behind is named, with its place") {
    const Checked checked = check_fixture("check_leaks_thread");
    CHECK(checked.status == 1);
    const json finding = checked.first("check.leaked_thread");
    REQUIRE(!finding.is_null());
    CHECK(finding["level"] == "error");
    CHECK(contains(finding["message"], "left-behind"));
    CHECK(contains(finding["remedy"], "background/1"));
    if (!has_thread_sanitizer()) CHECK(is_somewhere(finding["where"], "sleep_for_ever"));
    // It is found, and the other scenarios are run all the same.
    CHECK((*scenario_of(checked, "requests during shutdown"))["skipped"].is_null());
  }

  TEST_CASE("a descriptor that each start leaves open is found") {
    const Checked checked = check_fixture("check_leaks_descriptor", {"--runs", "20"});
    CHECK(checked.status == 1);
    const json finding = checked.first("check.leaked_descriptor");
    REQUIRE(!finding.is_null());
    CHECK(finding["level"] == "error");
    CHECK(finding["scenario"] == "20 runs");
    CHECK(contains(finding["message"], "/dev/null"));
    CHECK(contains(finding["message"], "about 1 "));
  }

  TEST_CASE("signal handlers are found, the server's and those that shutdown leaves") {
    const Checked checked = check_fixture("check_handles_signals");
    CHECK(checked.status == 1);
    const json own = checked.first("check.signal_handler");
    REQUIRE(!own.is_null());
    CHECK(contains(own["message"], "start installed a handler for SIGTERM"));
    const json left = checked.first("check.leaked_signal_handler");
    REQUIRE(!left.is_null());
    CHECK(contains(left["message"], "SIGUSR2"));
    // Once each, however many runs there are.
    CHECK(checked.all("check.signal_handler").size() == 1);
  }

  TEST_CASE("a signal that is blocked on the server's thread is found") {
    const Checked checked = check_fixture("check_blocks_signal");
    CHECK(checked.status == 1);
    const json finding = checked.first("check.signal_mask");
    REQUIRE(!finding.is_null());
    CHECK(contains(finding["message"], "start blocked SIGHUP"));
    CHECK(checked.all("check.signal_mask").size() == 1);
  }

  TEST_CASE("memory that grows with each run is found") {
    const Checked checked = check_fixture("check_leaks_memory", {"--runs", "20"});
    if (!checked.first("check.memory_not_judged").is_null()) return;  // under a sanitizer
    CHECK(checked.status == 1);
    const json finding = checked.first("check.memory_growth");
    REQUIRE(!finding.is_null());
    CHECK(contains(finding["message"], "102"));  // about 1024 KiB
  }

  TEST_CASE("a crash in shutdown is a finding with signal and place, and not the end") {
    const Checked checked = check_fixture("check_shutdown_crashes");
    CHECK(checked.status == 1);
    const auto crashes = checked.all("check.crash");
    REQUIRE(!crashes.empty());
    CHECK(contains(crashes[0]["message"], "SIGSEGV"));
    CHECK(contains(crashes[0]["message"], "shutdown"));
    if (!has_thread_sanitizer()) CHECK(is_somewhere(crashes[0]["where"], "#0 write_to_nowhere"));
    // No request, a request, during shutdown, and the runs: each was tried.
    CHECK(crashes.size() == 4);
    CHECK((*scenario_of(checked, "load"))["ok"] == true);
  }

  TEST_CASE("a hang in start is a finding with its place, and what follows is skipped") {
    const Checked checked = check_fixture("check_start_hangs", {"--time-limit", "2"});
    CHECK(checked.status == 1);
    const auto hangs = checked.all("check.hang");
    REQUIRE(hangs.size() == 1);
    CHECK(contains(hangs[0]["message"], "start did not return within 2 s"));
    if (!has_thread_sanitizer()) CHECK(is_somewhere(hangs[0]["where"], "wait_for_nobody"));
    CHECK(contains((*scenario_of(checked, "50 runs"))["skipped"], "start"));
  }

  TEST_CASE("an app that ends its process is found") {
    const Checked checked = check_fixture("check_start_exits");
    CHECK(checked.status == 1);
    const json finding = checked.first("check.exit");
    REQUIRE(!finding.is_null());
    CHECK(contains(finding["message"], "exit status 3 in start"));
  }

  TEST_CASE("constructors that crash, hang or exit are findings of the load") {
    for (const auto& [name, id] :
         std::vector<std::pair<string, string>>{{"constructor_crashes", "check.crash"},
                                                {"constructor_hangs", "check.hang"},
                                                {"constructor_exits", "check.exit"}}) {
      CAPTURE(name);
      const Checked checked = check_fixture(name, {"--time-limit", "2"});
      CAPTURE(checked.report.dump());
      CHECK(checked.status == 1);
      CHECK(checked.first(id)["scenario"] == "load");
      CHECK((*scenario_of(checked, "no request"))["skipped"].is_string());
    }
  }

  TEST_CASE("an app that cannot do without what it only uses is found, with each subset") {
    const Checked checked = check_fixture("check_needs_log");
    CHECK(checked.status == 1);
    CHECK((*scenario_of(checked, "without timer/1"))["ok"] == true);
    for (const char* name :
         {"without log/1", "without log/1, timer/1", "without all that it does not require"}) {
      CAPTURE(string(name));
      const json* const scenario = scenario_of(checked, name);
      REQUIRE(scenario != nullptr);
      CHECK((*scenario)["ok"] == false);
    }
    const json finding = checked.first("check.crash");
    REQUIRE(!finding.is_null());
    CHECK(contains(finding["message"], "without log/1: the app crashed"));
    CHECK(contains(finding["remedy"], "get_capability"));
    CHECK((*scenario_of(checked, "a request"))["ok"] == true);
    CHECK((*scenario_of(checked, "3 runs"))["ok"] == true);
  }

  TEST_CASE("what is left behind only where a capability is withheld is found there") {
    const Checked checked = check_fixture("check_leaks_without");
    CHECK(checked.status == 1);
    CHECK((*scenario_of(checked, "3 runs"))["ok"] == true);
    const json finding = checked.first("check.leaked_thread");
    REQUIRE(!finding.is_null());
    CHECK(finding["scenario"] == "without background/1");
    CHECK(contains(finding["message"], "without background/1: "));
  }

  TEST_CASE("a drain that harms requests in flight is found, and only there") {
    const Checked checked = check_fixture("check_drain_races");
    CHECK(checked.status == 1);
    const auto crashes = checked.all("check.crash");
    REQUIRE(crashes.size() == 1);
    CHECK(crashes[0]["scenario"] == "requests during shutdown");
  }

  TEST_CASE("code that stays in the process is found, with the cause") {
    std::vector<std::pair<string, string>> causes{{"nodelete", "-z nodelete"},
                                                  {"check_thread_local", "thread-local"}};
#ifdef SONICORN_UNIQUE_SYMBOLS
    causes.emplace_back("unique_symbols", "Shared<unsigned int>::calls");
#endif
    for (const auto& [name, cause] : causes) {
      CAPTURE(name);
      const Checked checked = check_fixture(name);
      const json finding = checked.first("check.not_unloaded");
      REQUIRE_MESSAGE(!finding.is_null(), checked.report.dump());
      CHECK(finding["level"] == "warning");
      CHECK(contains(finding["message"], cause));
      CHECK(checked.status == 0);
    }
    CHECK(check_fixture("only_on_request").first("check.not_unloaded").is_null());
  }

  TEST_CASE("exports that the manifest does not explain are found") {
    const Checked checked = check_fixture("check_exports_more");
    CHECK(checked.status == 0);
    const json extra = checked.first("check.extra_export");
    REQUIRE(!extra.is_null());
    CHECK(extra["level"] == "note");
    CHECK(contains(extra["message"], "check_visible_to_everybody"));
    CHECK(contains(extra["remedy"], "-fvisibility=hidden"));
    string unexplained;
    for (const json& finding : checked.all("check.unexplained_export")) {
      CHECK(finding["level"] == "warning");
      unexplained += finding["message"].get<string>() + "\n";
    }
    CHECK(unexplained.find("on_websocket_open") != string::npos);
    CHECK(unexplained.find("websocket/1") != string::npos);
    CHECK(unexplained.find("post_request without pre_request") != string::npos);
    CHECK(contains(check_fixture("misspelt").first("check.inspection_warning")["message"],
                   "sonicorn_shutdwon"));
  }

  TEST_CASE("what cannot be loaded is refused with its reasons, and nothing is run") {
    const Checked checked = check_fixture("requires_missing");
    CHECK(checked.status == 1);
    CHECK(checked.report["scenarios"].size() == 1);
    CHECK(contains(checked.first("check.refused")["message"], "com.example.nothing/1"));
    CHECK(check_fixture("no_mark").status == 1);
    const TemporaryFolder folder;
    CHECK(!check(folder / "missing.so", {}).first("check.unreadable").is_null());
    write_file(folder / "text.so", "no app\n");
    CHECK(!check(folder / "text.so", {}).first("check.refused").is_null());
  }

  TEST_CASE("a start that fails tells the app's words, and what follows is skipped") {
    const Checked checked = check_fixture("constructor_throws");
    CHECK(contains(checked.first("check.start_failed")["message"], "no plutonium left"));
    CHECK(contains((*scenario_of(checked, "3 runs"))["skipped"], "start"));
    const Checked failing = check_fixture("start_fails");
    CAPTURE(failing.report.dump());
    CHECK(failing.status == 1);
    CHECK(!failing.first("check.start_failed").is_null());
  }

  TEST_CASE("a request that never returns is a finding, and without subsets the check ends") {
    const Checked checked = check_fixture("stuck", {"--time-limit", "2", "--runs", "2"});
    CHECK(checked.status == 1);
    CHECK(checked.all("check.hang").size() == 3);
    CHECK((*scenario_of(checked, "without all that it does not require"))["skipped"].is_string());
  }

  TEST_CASE("settings reach the app") {
    const TemporaryFolder folder;
    const string journal = folder / "journal";
    const Checked checked =
        check_fixture("gated", {"--runs", "2", "--settings", json{{"journal", journal}}.dump()});
    CHECK(checked.status == 0);
    const auto lines = read_lines(journal);
    CHECK(std::count(lines.begin(), lines.end(), "shutdown") > 2);
    CHECK(lines.back() == "shutdown");
  }

  TEST_CASE("the text for people has a line for each scenario and ends with the verdict") {
    const Outcome good = run_check({fixture("only_on_request"), "--runs", "2"});
    CHECK(good.ending.status == 0);
    CHECK(good.output.find("requests during shutdown") != string::npos);
    CHECK(good.output.find(": ok; 7 scenarios, 0 failed, 0 skipped") != string::npos);
    const Outcome bad = run_check({fixture("check_start_exits"), "--runs", "2"});
    CHECK(bad.ending.status == 1);
    CHECK(bad.output.find("FAILED") != string::npos);
    CHECK(bad.output.find("error check.exit: ") != string::npos);
    CHECK(bad.output.find("to do: ") != string::npos);
  }

  TEST_CASE("the JUnit report is well-formed XML with a testcase for each scenario") {
    for (const char* name : {"check_start_exits", "requires_missing"}) {
      CAPTURE(string(name));
      const Outcome outcome = run_check({fixture(name), "--runs", "2", "--junit"});
      XmlReader reader(outcome.output);
      CHECK_MESSAGE(reader.is_well_formed(), outcome.output);
      CHECK(reader.elements("testsuite") == 1);
      CHECK(reader.elements("testcase") >= 1);
      CHECK((reader.elements("failure") > 0) == (outcome.ending.status == 1));
    }
  }

  TEST_CASE("what an app prints is no part of the report") {
    const Checked checked = check_fixture("constructor_prints");
    CHECK(checked.status == 0);
  }

  TEST_CASE("nothing is left in the folder for temporary files") {
    const TemporaryFolder folder;
    Process process({executable(), "check", fixture("check_shutdown_crashes"), "--runs", "2"},
                    {{"TMPDIR", folder.path()}});
    REQUIRE(process.wait(kCheckPatience));
    CHECK(std::filesystem::is_empty(folder.path()));
  }

  TEST_CASE("a wrong use is told with status 2, and a configuration with how to check it") {
    const string app = fixture("only_on_request");
    for (const std::vector<string>& arguments :
         std::vector<std::vector<string>>{{},
                                          {"-c", "x.toml", app},
                                          {app, "--json", "--junit"},
                                          {app, "--runs", "0"},
                                          {app, "--time-limit", "0"},
                                          {app, "--settings", "1"},
                                          {"-c", "x.toml", "--junit"},
                                          {app, app}}) {
      const Outcome outcome = run_check(arguments);
      CAPTURE(outcome.errors);
      CHECK(outcome.ending.status == 2);
      CHECK(!outcome.errors.empty());
    }
    const Outcome outcome = run_check({"x.toml"});
    CHECK(outcome.ending.status == 2);
    CHECK(outcome.errors.find("x.toml is a configuration: write sonicorn check -c x.toml") !=
          string::npos);
  }
}
