#include <fmt/format.h>
#include <sonicorn/context.h>

#include <string>
#include <utility>
#include <vector>

#include "core/log.hpp"
#include "supervisor/supervisor.hpp"

// Who wants what is served to change, and when it is their turn.
namespace sonicorn::supervisor {

namespace log = core::log;
using Json = nlohmann::json;

void Supervisor::wish(ReloadWish wanted) {
  const auto refuse = [&](const std::string& why) {
    log::info("nothing is reloaded: {}", why);
    for (const auto& done : wanted.done) done({{"ok", false}, {"error", why}});
  };
  if (stage_ == Stage::stopping || stage_ == Stage::done) {
    return refuse("the server is stopping");
  }
  // One that has not begun stands for all of its kind.
  for (ReloadWish& each : wishes_) {
    if (each.only != wanted.only || each.always != wanted.always ||
        each.rollback != wanted.rollback || each.forced != wanted.forced ||
        each.message != wanted.message) {
      continue;
    }
    for (auto& done : wanted.done) each.done.push_back(std::move(done));
    return;
  }
  wishes_.push_back(std::move(wanted));
  next_reload();
}

void Supervisor::watch_files() {
  if (stage_ != Stage::serving) return;
  if (!config_.reload.automatic) return file_watch_.stop();
  std::vector<FileWatch::Watched> files;
  for (const Served& served : served_) {
    files.push_back({served.wanted.file,
                     served.build != nullptr ? served.build->copy : std::filesystem::path()});
  }
  file_watch_.watch(files);
}

void Supervisor::on_file_changed(const std::filesystem::path& file) {
  std::vector<std::string> apps;
  for (const Served& served : served_) {
    if (served.wanted.file == file) apps.push_back(served.name);
  }
  for (const std::string& app : apps) {
    log::info("app {}: {} has changed", app, file.string());
    wish({.only = app, .reason = SONICORN_REASON_FILE_CHANGED, .message = {}, .done = {}});
  }
}

// One after the other, and not while a worker is exchanged for another.
void Supervisor::next_reload() {
  if (reload_ != nullptr || wishes_.empty() || is_replacing() || stage_ != Stage::serving) return;
  reload_ = std::make_unique<Reload>();
  reload_->wish = std::move(wishes_.front());
  wishes_.pop_front();
  notifier_.reloading();
  if (const std::string fault = plan_reload(); !fault.empty()) {
    reload_->faults.push_back(fault);
    return end_reload();
  }
  make_builds();
}

void Supervisor::reload(std::string app, bool forced, std::function<void(Json)> done) {
  if (stage_ != Stage::serving)
    return done({{"ok", false}, {"error", "the server is not serving"}});
  wish({.only = std::move(app),
        .always = true,
        .forced = forced,
        .reason = SONICORN_REASON_RELOAD,
        .message = {},
        .done = {std::move(done)}});
}

void Supervisor::rollback(std::string app, std::function<void(Json)> done) {
  wish({.only = std::move(app),
        .rollback = true,
        .reason = SONICORN_REASON_ROLLBACK,
        .message = {},
        .done = {std::move(done)}});
}

void Supervisor::commit(const std::string& app, Done done) {
  bool found = false;
  for (Served& served : served_) {
    if (served.name != app) continue;
    found = true;
    served.previous = nullptr;
    served.on_probation = false;
    journal_.note({.event = "commit",
                   .app = app,
                   .worker = {},
                   .generation = served.generation,
                   .build_id = {}});
  }
  done(found ? "" : no_such_app(app));
}

// "no app is named nope; there are hello and todo".
std::string Supervisor::no_such_app(const std::string& app) const {
  std::vector<std::string> names;
  for (const Served& served : served_) names.push_back(served.name);
  if (names.empty()) return fmt::format("no app is named {}; the server has none", app);
  return fmt::format("no app is named {}; there is {}", app, fmt::join(names, ", "));
}

}  // namespace sonicorn::supervisor
