#include "cli/asking.hpp"

#include <fmt/format.h>

#include <vector>

#include "admin/client.hpp"
#include "admin/control_path.hpp"
#include "cli/command.hpp"

namespace sonicorn::cli {

using Json = nlohmann::json;

namespace {

core::Result<std::filesystem::path> find_server(const Asking& asking) {
  if (asking.control) return *asking.control;
  const std::vector<std::filesystem::path> found = admin::find_controls();
  if (found.size() == 1) return found.front();
  if (found.empty()) {
    return core::host_error("cli.no_server",
                            "no server runs, as far as this user can see; start one with 'sonicorn "
                            "serve', or name its socket with --control PATH");
  }
  std::string paths;
  for (const auto& path : found) paths += "\n  --control " + path.string();
  return core::host_error(
      "cli.many_servers",
      fmt::format("{} servers run; name the one that is meant:{}", found.size(), paths));
}

}  // namespace

std::shared_ptr<Asking> add_asking(CLI::App& app, const char* footer) {
  const auto asking = std::make_shared<Asking>();
  app.add_option("--control,--admin", asking->control,
                 "The server's socket (default: that of the only server of this user that runs)")
      ->type_name("PATH")
      ->take_last();
  app.add_flag("--json", asking->json, "Print the answer as JSON, for programs");
  app.footer(footer);
  return asking;
}

std::shared_ptr<AppName> add_app_name(CLI::App& app, bool required) {
  const auto name = std::make_shared<AppName>();
  auto* const option = app.add_option("APP", name->given, "The app's name, as in 'sonicorn apps'");
  option->type_name("")->check([](const std::string& text) {
    return text.empty() ? std::string("the name of the app is empty") : std::string();
  });
  if (required) option->required();
  return name;
}

int fail(const Asking& asking, const std::string& why) {
  if (asking.json) fmt::print("{}\n", Json{{"ok", false}, {"error", why}}.dump(2));
  fmt::print(stderr, "{}\n", why);
  return kFailed;
}

core::Result<Json> ask(const Asking& asking, const char* method, const std::string& target) {
  const auto server = find_server(asking);
  if (!server) return server.error();
  const auto reply = admin::ask_server(*server, method, target);
  if (!reply) return reply.error();
  Json answer = Json::parse(reply->body, nullptr, false);
  if (reply->status == 200 && !answer.is_discarded()) {
    return core::Result<Json>(boost::system::in_place_value, std::move(answer));
  }
  const std::string why = answer.is_object() ? answer.value("error", reply->body) : reply->body;
  return core::host_error("cli.refused", why);
}

}  // namespace sonicorn::cli
