#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <string>

#include "app/capabilities.hpp"
#include "app/inspection.hpp"
#include "app/module_file.hpp"
#include "cli/command.hpp"

namespace sonicorn::cli {
namespace {

constexpr std::string_view kInspectExamples = R"(Examples:
  sonicorn inspect ./hello.so
  sonicorn inspect --json ./hello.so | jq .hazards

Runs no code of the file: what it says is read from the ELF image and from the app's manifest.

Exit status: 0 loadable, 1 not loadable (the reasons are printed), 2 the command line is wrong.)";

struct InspectArguments {
  std::string file;
  bool json = false;
};

void print(std::string_view report) {
  fmt::print("{}{}", report, report.ends_with('\n') ? "" : "\n");
}

// A file that cannot be read has no properties, but a program that asked for JSON still gets the
// object that it expects.
void print_unreadable(const InspectArguments& arguments, const std::string& reason) {
  if (!arguments.json) {
    fmt::print(stderr, "{}\n", reason);
    return;
  }
  app::Inspection inspection;
  inspection.file = arguments.file;
  inspection.name = inspection.file.stem().string();
  inspection.reasons = {reason};
  print(app::to_json(inspection));
}

int inspect(const InspectArguments& arguments) {
  if (arguments.file.empty()) {
    return usage_error("inspect", "no app: name a .so file, as in \"sonicorn inspect ./hello.so\"");
  }
  const std::filesystem::path file(arguments.file);
  const auto bytes = app::read_module_file(file);
  if (!bytes) {
    print_unreadable(arguments, bytes.error().message);
    return kFailed;
  }
  const app::Inspection inspection = app::inspect(*bytes, file, app::Offer::of_server());
  print(arguments.json ? app::to_json(inspection) : app::to_text(inspection));
  return inspection.loadable() ? kDone : kFailed;
}

}  // namespace

Command add_inspect(CLI::App& root) {
  CLI::App* const app =
      root.add_subcommand("inspect", "Say what an app declares and whether it can be loaded");
  const auto arguments = std::make_shared<InspectArguments>();
  app->add_option("FILE", arguments->file, "The app, a .so file")->type_name("");
  app->add_flag("--json", arguments->json, "Print a JSON object instead of text");
  app->footer(std::string(kInspectExamples));
  return {app, [arguments] { return inspect(*arguments); }};
}

}  // namespace sonicorn::cli
