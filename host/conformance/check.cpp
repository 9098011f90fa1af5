#include "conformance/check.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

#include "app/inspection.hpp"
#include "app/module_file.hpp"
#include "app/runtime_dir.hpp"
#include "app/signal_guard.hpp"
#include "conformance/child_process.hpp"
#include "conformance/exports.hpp"
#include "conformance/task.hpp"

namespace sonicorn::conformance {
namespace {

using Clock = std::chrono::steady_clock;
using Kind = Scenario::Kind;

// How much longer than a call of the app a child may be silent: it loads, and asks threads where
// they are. Several requests may wait for each other (a serial app).
constexpr unsigned kCallsInSilence = 6;
constexpr std::chrono::milliseconds kSilence{60'000};

constexpr std::size_t kLinesShown = 10;

// The last lines that the app, or the server in the child, has printed.
std::vector<std::string> last_lines(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    if (end > begin) lines.push_back("printed: " + text.substr(begin, end - begin));
    begin = end + 1;
  }
  if (lines.size() > kLinesShown) lines.erase(lines.begin(), lines.end() - kLinesShown);
  return lines;
}

// Whether the app broke, so that little of what else was to be found was found.
bool is_broken(const Finding& finding) {
  return finding.id == "check.crash" || finding.id == "check.hang" || finding.id == "check.exit" ||
         finding.id == "check.load_failed" || finding.id == "check.start_failed" ||
         finding.id == "check.not_run";
}

bool is_broken(const Result& result) {
  return std::any_of(result.findings.begin(), result.findings.end(),
                     [](const Finding& finding) { return is_broken(finding); });
}

// What one child said.
struct Heard {
  std::string step = "its beginning";
  unsigned run = 0;
  bool done = false;
  std::vector<Finding> findings;

  bool has(std::string_view id) const {
    return std::any_of(findings.begin(), findings.end(),
                       [id](const Finding& finding) { return finding.id == id; });
  }
};

std::string which_run(const Task& task, const Heard& heard) {
  return task.scenario.runs > 1 ? fmt::format(" in run {}", heard.run) : std::string();
}

// What the child did not say itself.
std::optional<Finding> finding_of_end(const Task& task, const Heard& heard, const ChildEnd& end) {
  if (heard.done || heard.has("check.crash") || heard.has("check.hang") ||
      heard.has("check.not_run")) {
    return std::nullopt;
  }
  const std::string place = heard.step + which_run(task, heard);
  if (end.timed_out) {
    return Finding{
        .id = "check.hang",
        .level = Level::error,
        .message = fmt::format("the process of the app did nothing any more in {}", place),
        .remedy = "let every call return; sonicorn call under a debugger shows where it is",
        .where = {}};
  }
  if (end.signal != 0) {
    return Finding{.id = "check.crash",
                   .level = Level::error,
                   .message = fmt::format("{} ended the app's process in {}",
                                          app::signal_name(end.signal), place),
                   .remedy = "mend what sends that signal; sonicorn call under a debugger shows it",
                   .where = {}};
  }
  return Finding{
      .id = "check.exit",
      .level = Level::error,
      .message = fmt::format("the app ended its process with exit status {} in {}", end.exit_status,
                             place),
      .remedy =
          "return an error (sonicorn_fail, or an exception in C++) instead of calling exit: "
          "the process belongs to the server and all its apps",
      .where = {}};
}

class Check {
 public:
  Check(const Options& options, const std::filesystem::path& executable,
        const std::function<void(const Report& so_far)>& on_result)
      : options_(options), executable_(executable), on_result_(on_result) {}

  Report run() && {
    report_.file = options_.file;
    report_.name = options_.file.stem().string();
    const auto plan = inspect();
    if (!plan) return std::move(report_);
    const auto folder = app::RuntimeDir::create({});
    if (!folder) {
      report_.results.back().findings.push_back(
          {.id = "check.not_run",
           .level = Level::error,
           .message = folder.error().message,
           .remedy = "set TMPDIR to a folder from which code may be run",
           .where = {}});
      return std::move(report_);
    }
    for (const Scenario& scenario : plan->scenarios) add(try_out(scenario, folder->path()));
    return std::move(report_);
  }

 private:
  void add(Result result) {
    report_.results.push_back(std::move(result));
    if (on_result_) on_result_(report_);
  }

  Result try_out(Scenario scenario, const std::filesystem::path& folder) {
    const bool subset = !scenario.without.empty();
    if (const std::string& why = subset && useless_.empty() ? no_subsets_ : useless_;
        !why.empty()) {
      Result result;
      result.scenario = scenario.name;
      result.skipped = why;
      return result;
    }
    // What is left behind in any case would be found slowly, and again and again.
    if (subset && !cycles_ok_) scenario.kind = Kind::request;
    Result result = run_one(scenario, folder);
    subset ? blame(scenario, result) : learn(scenario, result);
    return result;
  }

  // Nothing when there is no more to be tried.
  std::optional<Plan> inspect() {
    const auto begun = Clock::now();
    Result result;
    result.scenario = "inspect";
    std::optional<Plan> plan;
    const auto bytes = app::read_module_file(options_.file);
    if (!bytes) {
      result.findings.push_back({.id = "check.unreadable",
                                 .level = Level::error,
                                 .message = bytes.error().message,
                                 .remedy = "name the .so file of an app",
                                 .where = {}});
    } else {
      const app::Offer offered = app::Offer::of_server();
      const app::Inspection inspection = app::inspect(*bytes, options_.file, offered);
      report_.name = inspection.name;
      report_.version = inspection.version;
      result.findings = findings_of_file(*bytes, inspection);
      if (inspection.loadable()) {
        plan = plan_for(inspection, offered, options_.runs);
        if (!plan->left_out.empty()) {
          result.findings.push_back(
              {.id = "check.subsets_left_out",
               .level = Level::note,
               .message = plan->left_out,
               .remedy = "use fewer capabilities to have all combinations run",
               .where = {}});
        }
      }
    }
    result.duration = Clock::now() - begun;
    add(std::move(result));
    return plan;
  }

  Result run_one(const Scenario& scenario, const std::filesystem::path& folder) {
    const auto begun = Clock::now();
    const Task task{.file = options_.file,
                    .folder = folder,
                    .settings = options_.settings,
                    .scenario = scenario,
                    .time_limit = options_.time_limit};
    Heard heard;
    const auto end =
        run_child(executable_, {"check-child", to_json(task)},
                  kCallsInSilence * task.time_limit + kSilence, [&heard](std::string_view line) {
                    auto message = message_from_json(line);
                    if (!message) return;
                    if (message->kind == Message::Kind::step) {
                      heard.step = message->step;
                      heard.run = message->run;
                    } else if (message->kind == Message::Kind::finding) {
                      heard.findings.push_back(std::move(message->finding));
                    } else {
                      heard.done = true;
                    }
                  });
    Result result;
    result.scenario = scenario.name;
    result.findings = std::move(heard.findings);
    heard.findings = result.findings;
    last_step_ = heard.step;
    if (!end) {
      result.findings.push_back({.id = "check.not_run",
                                 .level = Level::error,
                                 .message = end.error().message,
                                 .remedy = "see to that, and try again",
                                 .where = {}});
    } else {
      if (auto missing = finding_of_end(task, heard, *end)) {
        result.findings.push_back(*std::move(missing));
      }
      for (Finding& finding : result.findings) {
        if (!is_broken(finding)) continue;
        for (std::string& line : last_lines(end->errors)) finding.where.push_back(std::move(line));
      }
    }
    result.duration = Clock::now() - begun;
    return result;
  }

  // Of the scenario that was run last.
  bool never_started(const Result& result) const {
    return std::any_of(result.findings.begin(), result.findings.end(), [&](const Finding& finding) {
      return finding.id == "check.start_failed" || (is_broken(finding) && last_step_ == "start");
    });
  }

  // What a scenario with all capabilities means for those that follow.
  void learn(const Scenario& scenario, const Result& result) {
    for (const Finding& finding : result.findings) known_.insert(finding.id);
    if (scenario.kind == Kind::load && is_broken(result)) useless_ = "it cannot be loaded";
    if (scenario.kind == Kind::idle && never_started(result)) useless_ = "it does not start";
    if (scenario.kind == Kind::cycles) {
      cycles_ok_ = result.ok();
    } else if (is_broken(result)) {
      no_subsets_ = "it fails with all capabilities, too";
    }
  }

  // What goes wrong only where capabilities are withheld is the fault of how the app does without.
  // What does so in any case was told.
  void blame(const Scenario& scenario, Result& result) const {
    std::erase_if(result.findings, [this](const Finding& finding) {
      return known_.contains(finding.id) && !is_broken(finding);
    });
    for (Finding& finding : result.findings) {
      finding.level = std::max(finding.level,
                               finding.id == "check.not_unloaded" ? Level::warning : Level::error);
      finding.message = fmt::format("{}: {}", scenario.name, finding.message);
      constexpr std::string_view kLook =
          "look at what get_capability answers before it is used, for it is NULL here, and do "
          "without; or name what is indispensable under \"requires\"";
      finding.remedy =
          is_broken(finding) ? std::string(kLook) : fmt::format("{}; {}", finding.remedy, kLook);
    }
  }

  const Options& options_;
  const std::filesystem::path& executable_;
  const std::function<void(const Report& so_far)>& on_result_;
  Report report_;
  std::set<std::string> known_;  // what was found with all capabilities
  bool cycles_ok_ = true;
  std::string useless_;     // why nothing more can be tried
  std::string no_subsets_;  // why it is not tried with fewer capabilities
  std::string last_step_;   // of the last child
};

}  // namespace

bool Result::ok() const {
  return std::none_of(findings.begin(), findings.end(),
                      [](const Finding& finding) { return finding.level == Level::error; });
}

bool Report::ok() const {
  return std::all_of(results.begin(), results.end(),
                     [](const Result& result) { return result.ok(); });
}

std::size_t Report::count(Level level) const {
  std::size_t count = 0;
  for (const Result& result : results) {
    count += static_cast<std::size_t>(
        std::count_if(result.findings.begin(), result.findings.end(),
                      [level](const Finding& finding) { return finding.level == level; }));
  }
  return count;
}

Report check(const Options& options, const std::filesystem::path& executable,
             const std::function<void(const Report& so_far)>& on_result) {
  return Check(options, executable, on_result).run();
}

}  // namespace sonicorn::conformance
