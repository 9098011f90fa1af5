#include "conformance/check.hpp"

#include <fmt/format.h>

#include <cmath>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "cli/command.hpp"
#include "config/load.hpp"
#include "config/wording.hpp"
#include "conformance/child.hpp"
#include "conformance/report.hpp"
#include "process/child.hpp"

namespace sonicorn::cli {
namespace {

constexpr std::string_view kCheckExamples = R"(Examples:
  sonicorn check ./hello.so
  sonicorn check ./todo.so --settings '{"database": ":memory:"}' --junit > check.xml
  sonicorn check -c sonicorn.toml

FILE is an app, which is run through what a server may do to it: loaded, started, asked and stopped
50 times, stopped without any request and in the midst of requests, and without each combination of
the capabilities that it uses. Found are crashes, hangs and failures, and threads, descriptors, signal
handlers, memory and code that stay behind. Everything runs in child processes.

-c FILE is a configuration: it is read, and the apps it names are looked for; nothing is started. Each
thing that is wrong is one line, FILE:LINE:COLUMN: what; what is allowed.

Exit status: 0 nothing is wrong, 1 something is, 2 the command line is wrong.)";

struct CheckFlags {
  std::optional<std::filesystem::path> config;
  std::optional<std::string> app;
  std::optional<int> runs;
  std::optional<double> time_limit;
  std::optional<std::string> settings;
  bool json = false;
  bool junit = false;

  bool any_of_app() const { return runs || time_limit || settings || json || junit; }
};

int check_config(const std::filesystem::path& file) {
  config::Flags flags;
  flags.file = file;
  const config::Loaded loaded = config::load(flags);
  if (!loaded.errors.empty()) {
    print_errors(loaded.errors);
    return kFailed;
  }
  const std::size_t apps = loaded.config.apps.size();
  fmt::print("{}: ok, {} {}\n", file.string(), apps, apps == 1 ? "app" : "apps");
  return kDone;
}

// Fills in the options; the sentence says what is wrong, and is empty when nothing is.
std::string read_options(const CheckFlags& flags, conformance::Options& options) {
  constexpr int kMostRuns = 100'000;
  constexpr double kMostSeconds = 3600;
  options.file = *flags.app;
  if (options.file.extension() == ".toml") {
    return fmt::format("{0} is a configuration: write sonicorn check -c {0}", *flags.app);
  }
  if (flags.runs && (*flags.runs < 1 || *flags.runs > kMostRuns)) {
    return fmt::format("--runs {}: allowed are 1 to {}", *flags.runs, kMostRuns);
  }
  if (flags.time_limit && !(*flags.time_limit >= 0.1 && *flags.time_limit <= kMostSeconds)) {
    return fmt::format("--time-limit {}: allowed are 0.1 to {} seconds", *flags.time_limit,
                       kMostSeconds);
  }
  if (flags.runs) options.runs = static_cast<unsigned>(*flags.runs);
  if (flags.time_limit) {
    options.time_limit = std::chrono::milliseconds(std::lround(*flags.time_limit * 1000));
  }
  if (flags.settings) {
    const auto settings = nlohmann::json::parse(*flags.settings, nullptr, false);
    if (!settings.is_object()) {
      return fmt::format("--settings {} is no JSON object; write it like '{{\"key\": 1}}'",
                         config::in_quotes(*flags.settings));
    }
    options.settings = settings.dump();
  }
  return {};
}

int check_app(const CheckFlags& flags) {
  conformance::Options options;
  if (const std::string fault = read_options(flags, options); !fault.empty()) {
    return usage_error("check", fault);
  }
  const bool for_people = !flags.json && !flags.junit;
  const conformance::Report report = conformance::check(
      options, process::own_executable(), [for_people](const conformance::Report& so_far) {
        if (!for_people) return;
        fmt::print("{}", conformance::to_text(so_far.results.back()));
        std::fflush(stdout);
      });
  if (for_people) fmt::print("{}", conformance::summary_of(report));
  if (flags.json) fmt::print("{}", conformance::to_json(report));
  if (flags.junit) fmt::print("{}", conformance::to_junit(report));
  return report.ok() ? kDone : kFailed;
}

int check(const CheckFlags& flags) {
  if (flags.config && flags.app) {
    return usage_error("check", "-c and FILE together: check a configuration or an app");
  }
  if (flags.json && flags.junit) return usage_error("check", "--json and --junit together");
  if (flags.app) return check_app(flags);
  if (!flags.config) {
    return usage_error("check", "no file: name an app, or a configuration with -c FILE");
  }
  if (flags.any_of_app()) {
    return usage_error("check",
                       "--runs, --time-limit, --settings, --json and --junit are for an app");
  }
  return check_config(*flags.config);
}

}  // namespace

Command add_check(CLI::App& root) {
  CLI::App* const app =
      root.add_subcommand("check", "Try out all that can go wrong with an app, or a configuration");
  const auto flags = std::make_shared<CheckFlags>();
  app->add_option("FILE", flags->app, "The app to check, a .so file")->type_name("");
  app->add_option("-c,--config", flags->config, "The TOML file to check instead")
      ->type_name("FILE")
      ->take_last();
  app->add_option("--runs", flags->runs, "Load, start, stop and unload so often (default: 50)")
      ->type_name("N")
      ->take_last();
  app->add_option("--settings", flags->settings, "The app's settings, a JSON object (default: {})")
      ->type_name("JSON")
      ->take_last();
  app->add_option("--time-limit", flags->time_limit,
                  "How long each call of the app may take (default: 10)")
      ->type_name("SECONDS")
      ->take_last();
  app->add_flag("--json", flags->json, "Print a JSON object instead of text");
  app->add_flag("--junit", flags->junit, "Print a JUnit report (XML) instead of text");
  app->footer(std::string(kCheckExamples));
  return {app, [flags] { return check(*flags); }};
}

// Internal: a check starts it as a child, to try one scenario.
Command add_check_child(CLI::App& root) {
  CLI::App* const app = root.add_subcommand("check-child", "Try one scenario (internal)");
  app->group("");
  const auto task = std::make_shared<std::string>();
  app->add_option("TASK", *task)->required();
  return {app, [task]() -> int { conformance::check_child_main(*task); }};
}

}  // namespace sonicorn::cli
