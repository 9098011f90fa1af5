#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "cli/command.hpp"
#include "config/load.hpp"

namespace sonicorn::cli {
namespace {

constexpr std::string_view kFooter = R"(Example:
  sonicorn check -c sonicorn.toml

Reads the file and asks whether the apps it names are there; starts nothing and opens no app ('sonicorn
inspect FILE' does that). Each thing that is wrong is one line, FILE:LINE:COLUMN: what; what is allowed.

Exit status: 0 nothing is wrong, 1 something is, 2 the command line is wrong.)";

int check(const std::optional<std::filesystem::path>& file) {
  if (!file) return usage_error("check", "no file: name one with -c FILE");
  config::Flags flags;
  flags.file = file;
  const config::Loaded loaded = config::load(flags);
  if (!loaded.errors.empty()) {
    print_errors(loaded.errors);
    return kFailed;
  }
  const std::size_t apps = loaded.config.apps.size();
  fmt::print("{}: ok, {} {}\n", file->string(), apps, apps == 1 ? "app" : "apps");
  return kDone;
}

}  // namespace

Command add_check(CLI::App& root) {
  CLI::App* const app = root.add_subcommand("check", "Say what is wrong with a configuration file");
  const auto file = std::make_shared<std::optional<std::filesystem::path>>();
  app->add_option("-c,--config", *file, "The TOML file to check")->type_name("FILE")->take_last();
  app->footer(std::string(kFooter));
  return {app, [file] { return check(*file); }};
}

}  // namespace sonicorn::cli
