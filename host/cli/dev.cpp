#include <fmt/format.h>

#include <memory>
#include <string>

#include "cli/command.hpp"
#include "config/bind.hpp"
#include "dev/loop.hpp"

namespace sonicorn::cli {
namespace {

constexpr std::string_view kDevExamples = R"(Examples:
  sonicorn new hello && sonicorn dev hello
  sonicorn dev --bind 127.0.0.1:0

Builds the project in FOLDER (CMake, Debug) and serves its app, or its apps below their names. When a
source changes, it builds again and the server loads the new build; the pages that are open in a browser
load themselves again. While the project does not build, or the server refuses the build, each page shows
why, as the terminal does. Changes in build folders and in hidden files are not looked at.

It is for one developer on one machine: the pages get a script, and no answer waits in a cache.
Ctrl-C ends it, with the server and a build that runs.

Exit status: 0 it was stopped, 1 it could not begin, 2 the command line is wrong.)";

struct DevArguments {
  std::string folder = ".";
  std::string bind = "127.0.0.1:8000";
  std::string build_folder;
};

int develop(const DevArguments& arguments) {
  const auto bind = config::parse_bind(arguments.bind);
  if (!bind) return usage_error("dev", bind.error().message);
  if (bind->kind != config::Bind::Kind::tcp) {
    return usage_error("dev", fmt::format("--bind {}: a browser cannot open that; write HOST:PORT",
                                          arguments.bind));
  }
  return dev::run(
      {.folder = arguments.folder, .bind = *bind, .build_folder = arguments.build_folder});
}

}  // namespace

Command add_dev(CLI::App& root) {
  CLI::App* const app =
      root.add_subcommand("dev", "Build and serve a project, again after each change");
  const auto arguments = std::make_shared<DevArguments>();
  app->add_option("FOLDER", arguments->folder, "The project, with its CMakeLists.txt (default: .)")
      ->type_name("");
  app->add_option("-b,--bind", arguments->bind,
                  "Listen on HOST:PORT; port 0 lets the kernel choose, and what was bound is "
                  "printed\n(default: 127.0.0.1:8000)")
      ->type_name("ADDRESS")
      ->take_last();
  app->add_option("--build-dir", arguments->build_folder,
                  "Build in this folder (default: FOLDER/build)")
      ->type_name("PATH")
      ->take_last();
  app->footer(std::string(kDevExamples));
  return {app, [arguments] { return develop(*arguments); }};
}

}  // namespace sonicorn::cli
