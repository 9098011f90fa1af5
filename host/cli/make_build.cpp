#include <iostream>
#include <iterator>
#include <memory>
#include <string>

#include "app/build_child.hpp"
#include "cli/command.hpp"

namespace sonicorn::cli {

// Internal: the server starts it as a child, which copies an app's file and loads the copy.
Command add_make_build(CLI::App& root) {
  CLI::App* const app =
      root.add_subcommand("make-build", "Copy an app, load the copy, and end (internal)");
  app->group("");
  const auto copy = std::make_shared<std::string>();
  app->add_option("COPY", *copy)->required();
  return {app, [copy]() -> int {
            const std::string order{std::istreambuf_iterator<char>(std::cin), {}};
            app::build_child_main(*copy, order);
          }};
}

}  // namespace sonicorn::cli
