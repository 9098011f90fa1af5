#include <fmt/format.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "admin/control_path.hpp"
#include "cli/asking.hpp"
#include "cli/command.hpp"
#include "cli/table.hpp"
#include "supervisor/journal.hpp"

// `sonicorn history [APP]`: what happened to apps, workers and the server.
namespace sonicorn::cli {
namespace {

using Json = nlohmann::json;

std::string shown(const Json& event, const char* key) {
  const auto found = event.find(key);
  if (found == event.end() || found->is_null()) return "-";
  return found->is_string() ? found->get<std::string>() : found->dump();
}

struct Wanted {
  std::string app;  // empty: everything
  std::size_t most = 100;
  std::filesystem::path journal;  // empty: that of the server
};

// Where no server answers, what it left behind.
core::Result<Json> from_file(const Wanted& wanted, const std::filesystem::path& path) {
  const auto journal = supervisor::Journal::read(path);
  if (!journal) return journal.error();
  return core::Result<Json>(boost::system::in_place_value,
                            journal->history(wanted.app, wanted.most));
}

core::Result<Json> history(const Asking& asking, const Wanted& wanted) {
  if (!wanted.journal.empty()) return from_file(wanted, wanted.journal);
  auto told =
      ask(asking, "GET",
          fmt::format("/history?most={}{}{}", wanted.most,
                      wanted.app.empty() ? "" : "&app=", core::percent_encoded(wanted.app)));
  if (told || told.error().id == "cli.refused" || told.error().id == "cli.many_servers") {
    return told;
  }
  std::vector<std::filesystem::path> left = admin::find_journals();
  if (asking.control) left = {admin::usual_journal_path(*asking.control)};
  for (const auto& path : left) {
    if (auto read = from_file(wanted, path)) {
      fmt::print(stderr, "No server answered; this is from {}.\n", path.string());
      return read;
    }
  }
  return told;
}

int show(const Asking& asking, const Wanted& wanted) {
  const auto all = history(asking, wanted);
  if (!all) return fail(asking, all.error().message);
  if (asking.json) {
    fmt::print("{}\n", all->dump(2));
    return kDone;
  }
  Table table(
      {"SEQUENCE", "TIME", "APP", "WORKER", "GENERATION", "BUILD", "EVENT", "MS", "RESULT"});
  for (const Json& event : *all) {
    const std::string result = shown(event, "result");
    const std::string what = shown(event, "event");
    table.add({shown(event, "sequence"), shown(event, "begin"), shown(event, "app"),
               shown(event, "worker"), shown(event, "generation"),
               shown(event, "build_id").substr(0, 8), what, shown(event, "took_ms"),
               result == "not finished" ? what + " begun, not finished" : result});
  }
  table.print();
  return kDone;
}

}  // namespace

Command add_history(CLI::App& root) {
  CLI::App* const app = root.add_subcommand(
      "history", "Show what happened to an app, or to all, its workers and the server");
  const auto asking = add_asking(
      *app,
      "The server keeps a journal of 1 MiB in a file (serve --journal PATH; default: beside its\n"
      "socket), so this also shows what former servers did, and answers when none runs. A step\n"
      "that a server or a worker began and did not live to end is 'begun, not finished'.\n\n"
      "Exit status: 0 there is a journal, 1 there is none, and no server that answers.");
  const auto wanted = std::make_shared<Wanted>();
  app->add_option("APP", wanted->app, "The app's name, as in 'sonicorn apps' (default: everything)")
      ->type_name("");
  app->add_option("--most", wanted->most, "So many events, the newest (default: 100)")
      ->type_name("N");
  app->add_option("--journal", wanted->journal, "Read this file, and ask no server")
      ->type_name("PATH")
      ->take_last();
  return {app, [asking, wanted] { return show(*asking, *wanted); }};
}

}  // namespace sonicorn::cli
