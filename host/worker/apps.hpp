#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <filesystem>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <span>
#include <string>
#include <vector>

#include "app/app.hpp"
#include "app/runtime_dir.hpp"
#include "app/services.hpp"
#include "config/config.hpp"
#include "routing/router.hpp"

namespace sonicorn::worker {

// The apps of one process, through their life: brought up one after the other, told of what
// happens, asked how they are, and ended. load() and start() may block and run on a thread of their
// own; the rest is for the thread of `io`, where every answer is given.
class Apps {
 public:
  // `copies` is where private copies live. The services say what the apps get; both outlive this.
  // Of the apps named `quarantined` no code is run, and their mounts are closed.
  Apps(const config::Config& config, app::Services& services, const app::RuntimeDir& copies,
       std::vector<std::string> quarantined, boost::asio::io_context& io);
  Apps(const Apps&) = delete;
  Apps& operator=(const Apps&) = delete;

  // Takes every app from its file to loaded code, so that one run shows all that is wrong. False
  // when the server is not to be started. Both end early, as if all was well, when `stop` is set.
  bool load(const std::atomic<bool>& stop);
  // Calls start of each, then health. False as above; those that started are started all the same.
  bool start(const std::atomic<bool>& stop);
  // Why load() or start() said no: the first app that was refused; empty: none. After they
  // returned.
  const std::string& failed() const { return failed_; }
  // The app whose start is under way, for messages of other threads; null: none.
  const app::App* starting() const { return starting_.load(); }

  routing::Router& router() { return router_; }
  // Those that are served.
  const std::vector<app::App*>& started() const { return started_; }

  // Tells each that requests will come (ready); `done`: each has returned, or has had its time.
  void make_ready(std::function<void()> done);
  // Requests arrive: tells each so (the event "ready"), and watches their health.
  void begin_serving(const std::string& message);

  // Whether every app is ready and healthy; `why_not` names the first that is not. `changed` is
  // called whenever that may have changed.
  bool are_ready(std::string& why_not) const;
  void when_changed(std::function<void()> changed) { changed_ = std::move(changed); }

  // Takes the settings that changed to those that declare reload. `fresh` names the apps as the
  // configuration does; `only` is the app that is meant, or empty for all.
  void reload_settings(const config::Config& fresh, const std::string& only,
                       const app::Occasion& why);

  // Tells all that a stop is decided (drain, and the event "stopping"). `told`: each has returned
  // from it, or has had its time; `finished`: each has said that it is done.
  void drain(const app::Occasion& why, std::function<void()> told, std::function<void()> finished);
  // Takes one app out of service: it is drained, and gets no requests from now on. `done` is told
  // how that went: empty, or why it is not drained.
  void drain_one(const std::string& name, const app::Occasion& why,
                 std::function<void(std::string fault)> done);
  // Gives it no requests any more, and calls none of its code for that.
  void quarantine(const std::string& name);

  // Ends those for which `is_free` holds, and calls `done` when each has ended.
  void shut_down(const app::Occasion& why, const std::function<bool(const app::App&)>& is_free,
                 std::function<void()> done);
  // Those whose shutdown has not returned.
  const std::vector<app::App*>& ending() const { return ending_; }
  // Waits on only for those whose policy of an overrun is to wait; the result are the others.
  std::vector<app::App*> give_up_ending();
  // Whether an app failed to end, or runs code that cannot be waited for.
  bool any_stuck() const;

  // Everything an operator may want to know of them, as a JSON array. Asks those that declare
  // describe; answers when all have, or have had their time.
  void describe(std::function<void(nlohmann::json reports)> done);
  // Of each app its name, "in_flight", "requests" and "errors", without asking it. `running` says
  // on how many I/O threads a generation runs now.
  nlohmann::json numbers(const std::function<std::size_t(const app::Generation&)>& running) const;

  // They stay loaded until the process ends: static destructors run at exit, and a thread that an
  // app left behind does not lose the ground under it.
  std::vector<std::unique_ptr<app::App>> release() { return std::move(apps_); }

 private:
  bool load_one(const config::App& wanted, const std::filesystem::path& self);
  bool is_quarantined(const config::App& wanted);
  bool start_one(app::App& app);
  app::App* find(const std::string& name) const;
  void changed() const {
    if (changed_) changed_();
  }
  void drop(app::App& app, const std::string& why);
  void schedule_health();
  void check_health(app::App& app);
  void on_health(app::App& app, const app::Outcome& outcome);
  void reload_settings_of(app::App& app, const std::string& settings, app::Occasion why);
  void broadcast(const std::string& action, const app::Occasion& why);

  const config::Config& config_;
  app::Services& services_;
  const app::RuntimeDir& copies_;
  boost::asio::io_context& io_;
  boost::asio::steady_timer health_timer_;
  bool draining_ = false;
  std::vector<std::string> quarantined_;
  std::string failed_;
  std::function<void()> changed_;

  std::vector<std::unique_ptr<app::App>> apps_;
  std::vector<app::App*> started_;
  std::vector<app::App*> asked_;  // whose health has not returned
  std::vector<app::App*> ending_;
  std::atomic<const app::App*> starting_{nullptr};
  routing::Router router_;
};

}  // namespace sonicorn::worker
