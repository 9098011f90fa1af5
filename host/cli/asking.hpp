#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "core/result.hpp"
#include "core/text.hpp"

// What the subcommands have in common that ask a running server.
namespace sonicorn::cli {

struct Asking {
  std::optional<std::filesystem::path> control;
  bool json = false;
};

// Adds the flags of all of them, and a footer.
std::shared_ptr<Asking> add_asking(CLI::App& app, const char* footer);

// The argument APP.
struct AppName {
  std::string given;  // empty: it was not
  // As a part of a request's target.
  std::string encoded() const { return core::percent_encoded(given); }
};
// Adds it; one that is empty is a mistake.
std::shared_ptr<AppName> add_app_name(CLI::App& app, bool required);

// Fails with a message on standard error, and with --json also as JSON on standard output.
int fail(const Asking& asking, const std::string& why);

// The answer of the server that is meant, or of the only one of this user that runs. Blocks until
// it has answered. Errors: cli.no_server, cli.many_servers, cli.refused (in the server's words),
// and those of ask_server.
core::Result<nlohmann::json> ask(const Asking& asking, const char* method,
                                 const std::string& target);

}  // namespace sonicorn::cli
