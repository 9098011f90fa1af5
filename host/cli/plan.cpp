#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "app/inspection.hpp"
#include "app/module_file.hpp"
#include "cli/asking.hpp"
#include "cli/command.hpp"

// `sonicorn plan FILE`: what a reload would change.
namespace sonicorn::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

struct Plan {
  std::vector<std::string> gains, losses, changes, refusals;
};

// The names in an array, or the keys of an object.
std::set<std::string> names_in(const Json& all) {
  std::set<std::string> names;
  for (const auto& [key, value] : all.items()) {
    names.insert(all.is_object() ? key : value.get<std::string>());
  }
  return names;
}

std::string shown(const Json& value) {
  const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
  return text.empty() ? "none" : text;
}

Plan compare(const Json& running, const Json& next) {
  Plan plan;
  for (const auto& [key, what] :
       {std::pair{"attributes", "attribute"}, std::pair{"requires", "required capability"},
        std::pair{"uses", "used capability"}}) {
    const auto before = names_in(running.value(key, Json::array()));
    const auto after = names_in(next.value(key, Json::array()));
    for (const std::string& name : after) {
      if (!before.contains(name)) plan.gains.push_back(fmt::format("{} {}", what, name));
    }
    for (const std::string& name : before) {
      if (!after.contains(name)) plan.losses.push_back(fmt::format("{} {}", what, name));
    }
  }
  for (const char* const key : {"version", "abi", "build_id", "threads", "blocking", "overlap",
                                "state_schema", "unloadable"}) {
    const Json before = running.value(key, Json());
    const Json after = next.value(key, Json());
    if (before != after) {
      plan.changes.push_back(fmt::format("{}: {} -> {}", key, shown(before), shown(after)));
    }
  }
  for (const Json& reason : next.value("reasons", Json::array())) {
    plan.refusals.push_back(reason.get<std::string>());
  }
  for (const std::string loss : {"attribute shutdown", "attribute save_state"}) {
    if (std::find(plan.losses.begin(), plan.losses.end(), loss) == plan.losses.end()) continue;
    plan.refusals.push_back(
        fmt::format("it loses the {}, which the running build has; declare it, "
                    "or reload with --force",
                    loss));
  }
  return plan;
}

void print(const char* title, const std::vector<std::string>& lines) {
  for (const std::string& line : lines) fmt::print("{:<9}{}\n", title, line);
}

// The app that the file is for: of that name, else of that path, else of the file's own name.
const Json* find_app(const Json& apps, const std::string& wanted, const fs::path& file,
                     const std::string& own_name) {
  const auto found = [&](const auto& fits) -> const Json* {
    const auto at = std::find_if(apps.begin(), apps.end(), fits);
    return at == apps.end() ? nullptr : &*at;
  };
  const auto is_named = [](const std::string& name) {
    return [name](const Json& app) { return app.value("name", std::string()) == name; };
  };
  if (!wanted.empty()) return found(is_named(wanted));
  const Json* const same_file = found([&](const Json& app) {
    std::error_code ignored;
    return fs::equivalent(app.value("file", std::string()), file, ignored);
  });
  return same_file != nullptr ? same_file : found(is_named(own_name));
}

int plan(const Asking& asking, const std::string& file, const std::string& name) {
  const auto bytes = app::read_module_file(file);
  if (!bytes) return fail(asking, bytes.error().message);
  const Json next = Json::parse(app::to_json(app::inspect(*bytes, file, app::Offer::of_server())));
  const auto apps = ask(asking, "GET", "/apps");
  if (!apps) return fail(asking, apps.error().message);
  const Json* const running = find_app(*apps, name, file, next.value("name", std::string()));
  if (running == nullptr) {
    return fail(asking, fmt::format("the server has no app that {} could be a build of; name one "
                                    "with --app NAME",
                                    name.empty() ? file : name));
  }
  const Plan result = compare(*running, next);
  if (asking.json) {
    fmt::print("{}\n", Json{{"app", running->value("name", std::string())},
                            {"gains", result.gains},
                            {"losses", result.losses},
                            {"changes", result.changes},
                            {"refusals", result.refusals},
                            {"ok", result.refusals.empty()}}
                           .dump(2));
  } else {
    fmt::print("app {}\n", running->value("name", std::string()));
    print("gains", result.gains);
    print("loses", result.losses);
    print("changes", result.changes);
    print("refused", result.refusals);
    if (result.gains.empty() && result.losses.empty() && result.changes.empty()) {
      fmt::print("the build that runs\n");
    }
  }
  return result.refusals.empty() ? kDone : kFailed;
}

}  // namespace

Command add_plan(CLI::App& root) {
  CLI::App* const app = root.add_subcommand(
      "plan", "Say what a build gains, loses and changes against the running one");
  const auto asking = add_asking(
      *app,
      "No code of the file is run, and nothing is changed.\n\n"
      "Exit status: 0 a reload may take it, 1 it would be refused, or no server answered.");
  const auto file = std::make_shared<std::string>();
  const auto name = std::make_shared<std::string>();
  app->add_option("FILE", *file, "The build, an app's .so file")->type_name("")->required();
  app->add_option("--app", *name, "The running app, where it is not clear from the file")
      ->type_name("NAME");
  return {app, [asking, file, name] { return plan(*asking, *file, *name); }};
}

}  // namespace sonicorn::cli
