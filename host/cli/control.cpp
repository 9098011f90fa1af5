#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cli/asking.hpp"
#include "cli/command.hpp"
#include "cli/table.hpp"
#include "config/range.hpp"

// The subcommands that ask a running server. Each blocks until the server has answered.
namespace sonicorn::cli {
namespace {

using Json = nlohmann::json;

constexpr config::CountRange kIndex{0, config::kWorkers.most};

// Prints what a GET answers: as it is, or as `show` makes it.
template <class Show>
int look(const Asking& asking, const std::string& target, const Show& show) {
  const auto answer = ask(asking, "GET", target);
  if (!answer) return fail(asking, answer.error().message);
  if (asking.json) {
    fmt::print("{}\n", answer->dump(2));
  } else {
    show(*answer);
  }
  return kDone;
}

int act(const Asking& asking, const std::string& target, const std::string& done) {
  const auto answer = ask(asking, "POST", target);
  if (!answer) return fail(asking, answer.error().message);
  fmt::print("{}\n", asking.json ? answer->dump(2) : done);
  return kDone;
}

std::string text_of(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return "-";
  if (found->is_string()) return found->get<std::string>();
  if (found->is_boolean()) return found->get<bool>() ? "yes" : "no";
  return found->dump();
}

std::string time_text(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number()) return "-";
  const auto seconds = found->get<std::int64_t>();
  if (seconds < 120) return fmt::format("{} s", seconds);
  if (seconds < 7200) return fmt::format("{} min", seconds / 60);
  if (seconds < 172'800) return fmt::format("{} h", seconds / 3600);
  return fmt::format("{} d", seconds / 86'400);
}

std::string memory_text(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_number()) return "-";
  return fmt::format("{:.1f} MiB", found->get<double>() / (1 << 20));
}

void show_status(const Json& status) {
  fmt::print("sonicorn {}, pid {}: {}{}\n", text_of(status, "version"), text_of(status, "pid"),
             text_of(status, "state"),
             status.value("ready", false)
                 ? ", ready"
                 : ", not ready: " + status.value("why_not_ready", std::string()));
  fmt::print("running for {}, {} worker(s), {} started again after a death\n",
             time_text(status, "uptime_seconds"), text_of(status, "workers"),
             text_of(status, "restarts"));
  for (const Json& url : status.value("listening", Json::array())) {
    fmt::print("listening on {}\n", url.get<std::string>());
  }
  for (const Json& app : status.value("quarantined", Json::array())) {
    fmt::print("in quarantine: {0} ('sonicorn unquarantine {0}' gives it another chance)\n",
               app.get<std::string>());
  }
}

void show_workers(const Json& workers) {
  Table table(
      {"WORKER", "PID", "STATE", "FOR", "MEMORY", "IN FLIGHT", "REQUESTS", "ERRORS", "RESTARTS"});
  for (const Json& worker : workers) {
    table.add({text_of(worker, "worker"), text_of(worker, "pid"), text_of(worker, "state"),
               time_text(worker, "uptime_seconds"), memory_text(worker, "resident_bytes"),
               text_of(worker, "in_flight"), text_of(worker, "requests"), text_of(worker, "errors"),
               text_of(worker, "restarts")});
  }
  table.print();
}

std::string state_of(const Json& app) {
  if (app.value("refused", false)) return "refused";
  if (app.value("quarantined", false)) return "quarantined";
  if (app.value("workers", Json::array()).empty()) return "starting";
  if (!app.value("serving", false)) return "drained";
  if (!app.value("healthy", true)) return "unhealthy";
  if (!app.value("ready", false)) return "not ready";
  return app.value("on_probation", false) ? "on probation" : "serving";
}

// "log/1, timer/1 (withheld)": what the app asked for, with what it did not get.
std::string negotiated(const Json& app, const char* key) {
  std::string text;
  const Json answers = app.value(key, Json::object());
  for (const auto& [id, answer] : answers.items()) {
    if (!text.empty()) text += ", ";
    text += id;
    if (answer != "offered") text += " (" + answer.get<std::string>() + ")";
  }
  return text;
}

void show_apps(const Json& apps) {
  Table table({"APP", "MOUNT", "STATE", "GENERATION", "BUILD", "IN FLIGHT", "REQUESTS", "ERRORS",
               "CRASHES"});
  for (const Json& app : apps) {
    table.add({text_of(app, "name"), text_of(app, "mount"), state_of(app),
               text_of(app, "generation"), text_of(app, "build_id").substr(0, 12),
               text_of(app, "in_flight"), text_of(app, "requests"), text_of(app, "errors"),
               text_of(app, "crashes")});
  }
  table.print();
  for (const Json& app : apps) {
    std::string declares;
    for (const Json& each : app.value("attributes", Json::array())) {
      if (!declares.empty()) declares += ", ";
      declares += each.get<std::string>();
    }
    if (declares.empty()) continue;
    fmt::print("\n{} declares {}\n", text_of(app, "name"), declares);
    for (const Json& each : app.value("retired", Json::array())) {
      fmt::print("generation {} of {} in worker {}: {}\n", text_of(each, "generation"),
                 text_of(app, "name"), text_of(each, "worker"),
                 each.value("gone", false) ? "unloaded" : "pinned: " + text_of(each, "cause"));
    }
    if (const auto text = negotiated(app, "requires"); !text.empty()) {
      fmt::print("  requires {}\n", text);
    }
    if (const auto text = negotiated(app, "uses"); !text.empty()) fmt::print("  uses {}\n", text);
  }
}

}  // namespace

Command add_status(CLI::App& root) {
  CLI::App* const app = root.add_subcommand("status", "Show how a running server is");
  const auto asking = add_asking(*app, "Exit status: 0 it answered, 1 no server answered.");
  return {app, [asking] { return look(*asking, "/status", &show_status); }};
}

Command add_apps(CLI::App& root) {
  CLI::App* const app = root.add_subcommand(
      "apps", "Show the apps of a running server: generation, build, requests, capabilities");
  const auto asking = add_asking(*app, "Exit status: 0 it answered, 1 no server answered.");
  return {app, [asking] { return look(*asking, "/apps", &show_apps); }};
}

Command add_workers(CLI::App& root) {
  CLI::App* const app = root.add_subcommand("workers", "Show the workers of a running server");
  const auto asking = add_asking(*app, "Exit status: 0 it answered, 1 no server answered.");
  return {app, [asking] { return look(*asking, "/workers", &show_workers); }};
}

Command add_drain(CLI::App& root) {
  CLI::App* const app =
      root.add_subcommand("drain", "Take a running server, or one app of it, out of service");
  const auto asking = add_asking(
      *app,
      "Without APP, /readyz says 503 at once, so that balancers send nobody any more, and the "
      "server\n"
      "goes on serving who comes. With APP, its mount answers 503 and the app is told (drain).\n"
      "Returns when no request is in flight, or the grace is over.\n\n"
      "Exit status: 0 drained, 1 not drained, or no server answered.");
  const auto name = add_app_name(*app, false);
  return {app, [asking, name] {
            if (name->given.empty()) return act(*asking, "/drain", "the server is drained");
            return act(*asking, "/drain?app=" + name->encoded(),
                       fmt::format("{} is drained", name->given));
          }};
}

Command add_stop(CLI::App& root) {
  CLI::App* const app = root.add_subcommand("stop", "Stop a running server in order");
  const auto asking =
      add_asking(*app,
                 "As SIGTERM does: no new connections, requests in flight finish within the grace, "
                 "each app's\n"
                 "shutdown is called. Returns when every worker has ended.\n\n"
                 "Exit status: 0 stopped, 1 not stopped cleanly, or no server answered.");
  return {app, [asking] { return act(*asking, "/stop", "stopped"); }};
}

Command add_restart_worker(CLI::App& root) {
  CLI::App* const app =
      root.add_subcommand("restart-worker", "Replace one worker of a running server, or all");
  const auto asking =
      add_asking(*app,
                 "The successor serves before the old worker stops, so no request is lost. Without "
                 "N, all are\n"
                 "replaced, one after the other. Returns when the old ones have ended.\n\n"
                 "Exit status: 0 replaced, 1 not replaced, or no server answered.");
  const auto index = std::make_shared<std::string>();
  app->add_option("N", *index, "The worker's number, as in 'sonicorn workers'")->type_name("");
  return {app, [asking, index] {
            if (index->empty()) return act(*asking, "/workers/restart", "all workers are replaced");
            if (const auto number = config::parse_count("N", *index, kIndex); !number) {
              return usage_error("restart-worker", number.error().message);
            }
            return act(*asking, fmt::format("/workers/{}/restart", *index),
                       fmt::format("worker {} is replaced", *index));
          }};
}

namespace {

// What a reload, or the return from one, has switched.
void print_switched(const Json& answer) {
  const Json apps = answer.value("apps", Json::array());
  for (const Json& app : apps) {
    const Json before = app.value("before", Json());
    const auto id = [](const Json& build) {
      const std::string text = build.value("build_id", std::string());
      return text.empty() ? std::string("without build-id") : "build " + text.substr(0, 8);
    };
    fmt::print("{}: generation {} ({}){}{}\n", text_of(app, "app"), text_of(app, "generation"),
               id(app),
               before.is_object()
                   ? fmt::format(" instead of {} ({})", text_of(before, "generation"), id(before))
                   : std::string(),
               app.contains("state") ? ", state " + text_of(app, "state") : std::string());
  }
  if (apps.empty()) fmt::print("nothing was to be switched\n");
}

int change(const Asking& asking, const std::string& target) {
  const auto answer = ask(asking, "POST", target);
  if (!answer) return fail(asking, answer.error().message);
  if (asking.json) {
    fmt::print("{}\n", answer->dump(2));
  } else {
    print_switched(*answer);
  }
  return kDone;
}

}  // namespace

Command add_reload(CLI::App& root) {
  CLI::App* const app =
      root.add_subcommand("reload", "Replace the code of an app, or of all, and lose no request");
  const auto asking = add_asking(
      *app,
      "Each worker loads the new build beside the old one, and starts it; when all have, all\n"
      "switch, else none does and the old builds go on. Without APP the configuration is read\n"
      "again, too. An app of which no two generations may run at once, or that hands over its\n"
      "state, has its requests wait meanwhile.\n\n"
      "Exit status: 0 switched, 1 nothing was switched (the text says why), or no server "
      "answered.");
  const auto name = add_app_name(*app, false);
  const auto forced = std::make_shared<bool>(false);
  app->add_flag("--force", *forced,
                "Also when the new build lacks shutdown or save_state, which the old one has");
  return {app, [asking, name, forced] {
            std::string query = name->given.empty() ? "" : "?app=" + name->encoded();
            if (*forced) query += (query.empty() ? "?" : "&") + std::string("force=1");
            return change(*asking, "/reload" + query);
          }};
}

Command add_rollback(CLI::App& root) {
  CLI::App* const app =
      root.add_subcommand("rollback", "Return to the build that an app had before its last reload");
  const auto asking = add_asking(
      *app,
      "The build before is kept while the new one is on probation ([reload] probation).\n\n"
      "Exit status: 0 switched, 1 not (the text says why), or no server answered.");
  const auto name = add_app_name(*app, true);
  return {app,
          [asking, name] { return change(*asking, "/apps/" + name->encoded() + "/rollback"); }};
}

Command add_commit(CLI::App& root) {
  CLI::App* const app = root.add_subcommand("commit", "End the probation of an app's new build");
  const auto asking = add_asking(*app,
                                 "The build before is not kept any longer.\n\n"
                                 "Exit status: 0 done, 1 not, or no server answered.");
  const auto name = add_app_name(*app, true);
  return {app, [asking, name] {
            return act(*asking, "/apps/" + name->encoded() + "/commit",
                       fmt::format("{}: the build before is not kept any longer", name->given));
          }};
}

Command add_unquarantine(CLI::App& root) {
  CLI::App* const app = root.add_subcommand(
      "unquarantine", "Give an app that ended workers too often another chance");
  const auto asking =
      add_asking(*app,
                 "The workers are replaced by such that run the app, one after the other.\n\n"
                 "Exit status: 0 it runs again, 1 it does not, or no server answered.");
  const auto name = add_app_name(*app, true);
  return {app, [asking, name] {
            return act(*asking, "/apps/" + name->encoded() + "/unquarantine",
                       fmt::format("{} runs again", name->given));
          }};
}

}  // namespace sonicorn::cli
