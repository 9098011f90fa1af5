#include <fcntl.h>
#include <fmt/format.h>

#include <array>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "cli/command.hpp"
#include "cli/configuration.hpp"
#include "core/crash.hpp"
#include "core/log.hpp"
#include "http/access_log.hpp"
#include "process/channel.hpp"
#include "process/message.hpp"
#include "worker/serve.hpp"

namespace sonicorn::cli {
namespace {

namespace message = process::message;
using Json = nlohmann::json;

// Processes that apps start get none of it.
void keep_from_children(int descriptor) { ::fcntl(descriptor, F_SETFD, FD_CLOEXEC); }

int work(int channel) {
  keep_from_children(channel);
  const auto start = process::Channel::read_one(channel);
  if (!start || start->value("say", std::string()) != message::kStart) {
    fmt::print(stderr, "sonicorn worker: {}; 'sonicorn serve' starts its workers itself\n",
               start ? "this is no first message" : start.error().message);
    return kFailed;
  }
  const config::Flags flags = config::flags_from_json((*start)["flags"].get<std::string>());
  worker::Post post;
  post.index = start->value("index", 0u);
  post.channel = channel;
  for (const Json& socket : (*start)["sockets"]) {
    post.sockets.push_back({socket["fd"], socket["url"]});
    keep_from_children(socket["fd"]);
  }
  for (const Json& build : start->value("builds", Json::array())) {
    post.builds.push_back({build.value("index", std::size_t{0}),
                           build.value("generation", std::uint64_t{1}),
                           build.value("build", Json::object()).dump()});
  }
  post.quarantined = start->value("quarantined", std::vector<std::string>());
  const int report = start->value("report", -1);
  if (report >= 0) {
    keep_from_children(report);
    core::install_crash_handler(report);
  }
  post.reread = [flags](const std::string& text) { return read_configuration(flags, text); };

  config::Loaded loaded = post.reread(start->value("text", std::string()));
  if (!loaded.errors.empty()) {
    print_errors(loaded.errors);
    return kFailed;
  }
  for (const Json& build : start->value("builds", Json::array())) {
    loaded.config.apps.at(build.value("index", std::size_t{0})).settings =
        build.value("settings", std::string("{}"));
  }
  // What becomes of lines is no reason not to serve.
  open_log_when_possible(loaded.config);
  http::AccessLog::open(loaded.config.access_log, loaded.config.access_log_format);
  return worker::serve(std::move(loaded.config), std::move(post));
}

}  // namespace

// Internal: the server starts it as a child, which serves on the sockets that it gets.
Command add_worker(CLI::App& root) {
  CLI::App* const app = root.add_subcommand("worker", "Serve for a supervisor (internal)");
  app->group("");
  const auto index = std::make_shared<unsigned>(0);
  const auto channel = std::make_shared<int>(-1);
  app->add_option("INDEX", *index)->required();
  app->add_option("--channel", *channel)->required();
  return {app, [index, channel] { return work(*channel); }};
}

}  // namespace sonicorn::cli
