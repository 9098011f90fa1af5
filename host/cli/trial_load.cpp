#include <memory>
#include <string>

#include "app/trial.hpp"
#include "cli/command.hpp"

namespace sonicorn::cli {

// Internal: the server starts it as a child, with its own private copy of an app, to see whether
// loading the copy does any harm.
Command add_trial_load(CLI::App& root) {
  CLI::App* const app =
      root.add_subcommand("trial-load", "Load a copy of an app and end (internal)");
  app->group("");
  const auto copy = std::make_shared<std::string>();
  app->add_option("COPY", *copy)->required();
  return {app, [copy] { return app::trial_load_main(*copy); }};
}

}  // namespace sonicorn::cli
