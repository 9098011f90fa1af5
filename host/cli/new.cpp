#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cli/command.hpp"
#include "config/wording.hpp"
#include "dev/project.hpp"
#include "process/child.hpp"

namespace sonicorn::cli {
namespace {

constexpr std::string_view kNewExamples = R"(Examples:
  sonicorn new hello && sonicorn dev hello
  sonicorn new hello-c --lang c

Writes ./NAME: CMakeLists.txt, the app's source, its test on the SDK's test host, README.md, .gitignore.
The build finds the SDK that belongs to this program; cmake -DSonicorn_DIR=FOLDER names another one.

Exit status: 0 it is written, 1 it is not, 2 the command line is wrong.)";

struct NewArguments {
  std::string name;
  std::string language = "cpp";
};

int fail(std::string_view what) {
  fmt::print(stderr, "{}\n", what);
  return kFailed;
}

void print_next_steps(const dev::Project& project,
                      const std::vector<std::filesystem::path>& files) {
  fmt::print("{}/ has\n", project.folder.string());
  for (const auto& file : files) fmt::print("  {}\n", file.string());
  if (project.sdk_dir.empty()) {
    fmt::print(
        "\nThere is no SDK beside this program. Install it, or name the folder of its "
        "SonicornConfig.cmake:\n"
        "  cmake -S {0} -B {0}/build -DSonicorn_DIR=FOLDER\n",
        project.name);
  }
  fmt::print(
      "\nNext, to build it, see it at http://127.0.0.1:8000/, and have it follow each change:\n"
      "  sonicorn dev {0}\n"
      "Or by hand:\n"
      "  cd {0} && cmake -B build && cmake --build build\n"
      "  sonicorn serve build/{0}.so\n",
      project.name);
}

int write(const NewArguments& arguments) {
  if (const std::string fault = dev::fault_of_name(arguments.name); !fault.empty()) {
    return fail(fault);
  }
  const std::vector<std::string> known = dev::languages();
  if (std::find(known.begin(), known.end(), arguments.language) == known.end()) {
    return fail(
        fmt::format("--lang {}: {}", config::in_quotes(arguments.language),
                    config::suggestion(arguments.language,
                                       std::vector<std::string_view>(known.begin(), known.end()))));
  }
  dev::Project project;
  project.name = arguments.name;
  project.language = arguments.language;
  project.folder = arguments.name;
  project.sdk_dir = dev::sdk_of(process::own_executable());
  const auto files = dev::write_project(project);
  if (!files) return fail(files.error().message);
  print_next_steps(project, *files);
  return kDone;
}

}  // namespace

Command add_new(CLI::App& root) {
  CLI::App* const app =
      root.add_subcommand("new", "Write a small project: an app, its test and their build");
  const auto arguments = std::make_shared<NewArguments>();
  app->add_option("NAME", arguments->name, "The app's name, and that of the new folder")
      ->required()
      ->type_name("");
  app->add_option("--lang", arguments->language, "c or cpp (default: cpp)")
      ->type_name("LANGUAGE")
      ->take_last();
  app->footer(std::string(kNewExamples));
  return {app, [arguments] { return write(*arguments); }};
}

}  // namespace sonicorn::cli
