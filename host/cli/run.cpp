#include "cli/run.hpp"

#include <fmt/format.h>
#include <sonicorn/abi.h>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <string>
#include <vector>

#include "cli/command.hpp"
#include "config/wording.hpp"
#include "core/version.hpp"

namespace sonicorn::cli {
namespace {

constexpr std::string_view kDescription =
    "Sonicorn serves apps that are shared objects: compile a function, serve the file.";

constexpr std::string_view kFooter =
    R"(A first app, from nothing to a page that follows each change of its source:
  sonicorn new hello
  sonicorn dev hello                 (then: http://127.0.0.1:8000/ in a browser)

The same by hand:
  cat > hello.c <<'END'
  #include <sonicorn/sonicorn.h>
  SONICORN_ABI_MARK;
  int32_t sonicorn_on_request(const sonicorn_context* context, void* state,
                              const sonicorn_request* request, sonicorn_response* response) {
    (void)context, (void)state, (void)request;
    response->body = SONICORN_STRING("Hello\n");
    return SONICORN_OK;
  }
  END
  cc -shared -fPIC -I plugin-sdk/include -o hello.so hello.c
  sonicorn inspect hello.so
  sonicorn serve ./hello.so          (then: curl http://127.0.0.1:8000/)

Where to look next:
  sonicorn serve --help     every flag, with its default
  sonicorn dev --help       what is built when, and what the browser shows
  README.md                 the configuration file, the limits, what an app may ask of the server
  plugin-sdk/include        the interface of apps, one small header per subject

Exit status: 0 done, 1 failed, 2 the command line is wrong.)";

std::string version_text() {
  return fmt::format("sonicorn {} (ABI {}.{})", core::kVersion, SONICORN_ABI_MAJOR,
                     SONICORN_ABI_MINOR);
}

bool is_flag(std::string_view argument) { return argument.size() > 1 && argument.starts_with('-'); }

std::vector<std::string> flags_of(const CLI::App& app) {
  std::vector<std::string> flags;
  for (const CLI::Option* option : app.get_options()) {
    for (const std::string& name : option->get_lnames()) flags.push_back("--" + name);
  }
  return flags;
}

// What is wrong with an argument that no option and no subcommand takes.
std::string unexpected(const CLI::App& app, const std::string& argument) {
  std::vector<std::string> words;
  const bool flag = is_flag(argument);
  if (flag) {
    words = flags_of(app);
  } else {
    for (const CLI::App* command : app.get_subcommands([](const CLI::App*) { return true; })) {
      if (!command->get_group().empty()) words.push_back(command->get_name());
    }
  }
  const std::vector<std::string_view> known(words.begin(), words.end());
  const std::string name = argument.substr(0, flag ? argument.find('=') : argument.size());
  const std::string_view near = config::nearest(name, known);
  if (flag) {
    return near.empty() ? fmt::format("unknown flag {}", name)
                        : fmt::format("unknown flag {}, did you mean {}?", name, near);
  }
  if (words.empty()) return fmt::format("{} is one argument too many", config::in_quotes(argument));
  if (!near.empty()) {
    return fmt::format("unknown subcommand {}, did you mean {}?", config::in_quotes(name), near);
  }
  return name.ends_with(".so")
             ? fmt::format("unknown subcommand {}, did you mean \"sonicorn serve {}\"?",
                           config::in_quotes(name), name)
             : fmt::format("unknown subcommand {}", config::in_quotes(name));
}

int report_extras(const CLI::App& root, std::string_view subcommand) {
  const auto parsed = root.get_subcommands();
  const CLI::App& app = parsed.empty() ? root : *parsed.front();
  // Flags first: an argument that is left over is often the value of a misspelt flag.
  const std::vector<std::string> rest = root.remaining(true);
  const auto flag = std::find_if(rest.begin(), rest.end(), is_flag);
  return usage_error(subcommand, unexpected(app, flag == rest.end() ? rest.front() : *flag));
}

int report(const CLI::App& root, const CLI::ParseError& error) {
  const auto parsed = root.get_subcommands();
  const std::string subcommand = parsed.empty() ? "" : parsed.front()->get_name();
  const std::string text = error.what();
  switch (static_cast<CLI::ExitCodes>(error.get_exit_code())) {
    case CLI::ExitCodes::ExtrasError:
      return report_extras(root, subcommand);
    case CLI::ExitCodes::ArgumentMismatch:
      return usage_error(subcommand, text.substr(0, text.find(':')) + " needs a value");
    default:
      return usage_error(subcommand, text);
  }
}

int run_command(int argc, const char* const* argv) {
  CLI::App root{std::string(kDescription), "sonicorn"};
  root.set_version_flag("--version", version_text(),
                        "Print the versions of the server and of its ABI");
  root.set_help_flag("-h,--help", "Print this text; after a subcommand, the text about it");
  root.require_subcommand(0, 1);
  root.footer(std::string(kFooter));
  // In the order in which they are listed.
  const Command commands[] = {
      add_new(root),          add_dev(root),     add_serve(root),       add_inspect(root),
      add_call(root),         add_check(root),   add_status(root),      add_apps(root),
      add_workers(root),      add_plan(root),    add_reload(root),      add_rollback(root),
      add_commit(root),       add_drain(root),   add_stop(root),        add_restart_worker(root),
      add_unquarantine(root), add_history(root), add_make_build(root),  add_trial_load(root),
      add_check_child(root),  add_worker(root),  add_crash_report(root)};
  try {
    root.parse(argc, argv);
  } catch (const CLI::Success& success) {
    return root.exit(success);
  } catch (const CLI::ParseError& error) {
    return report(root, error);
  }
  for (const Command& command : commands) {
    if (command.app->parsed()) return command.run();
  }
  fmt::print(stderr, "{}", root.help());
  return kUsage;
}

}  // namespace

void print_errors(std::span<const core::Error> errors) {
  for (const core::Error& error : errors) fmt::print(stderr, "{}\n", error.message);
}

int usage_error(std::string_view subcommand, std::string_view what) {
  const std::string command =
      subcommand.empty() ? "sonicorn" : fmt::format("sonicorn {}", subcommand);
  fmt::print(stderr, "{}: {}{} see '{} --help'\n", command, what, what.ends_with('?') ? "" : ";",
             command);
  return kUsage;
}

int run(int argc, const char* const* argv) noexcept {
  try {
    return run_command(argc, argv);
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "sonicorn: this should not have happened: %s; please report it\n",
                 failure.what());
  } catch (...) {
    std::fputs("sonicorn: this should not have happened: an unknown exception; please report it\n",
               stderr);
  }
  return kFailed;
}

}  // namespace sonicorn::cli
