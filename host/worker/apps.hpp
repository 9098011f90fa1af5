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
#include "app/build.hpp"
#include "app/services.hpp"
#include "app/unloading.hpp"
#include "config/config.hpp"
#include "routing/router.hpp"
#include "worker/traffic.hpp"

namespace sonicorn::worker {

// The apps of one process, through their life: brought up one after the other, told of what
// happens, asked how they are, and ended. load() and start() may block and run on a thread of their
// own; the rest is for the thread of `io`, where every answer is given.
class Apps {
 public:
  // One app to load: which of the configuration, and its build, whose copy is for this process
  // alone to load.
  struct Wanted {
    std::size_t index = 0;  // in Config::apps
    app::Build build;
    std::uint64_t generation = 1;
  };

  // The services say what the apps get, `traffic` is told of changes; both outlive this. Of the
  // apps named `quarantined` no code is run, and their mounts are closed.
  Apps(config::Config config, app::Services& services, Traffic& traffic,
       std::vector<std::string> quarantined, boost::asio::io_context& io);
  Apps(const Apps&) = delete;
  Apps& operator=(const Apps&) = delete;

  // Loads every app, so that one run shows all that is wrong. False when the server is not to be
  // started. Both end early, as if all was well, when `stop` is set.
  bool load(const std::vector<Wanted>& wanted, const std::atomic<bool>& stop);
  // Calls start of each, then health. False as above; those that started are started all the same.
  bool start(const std::atomic<bool>& stop);
  // Why load() or start() said no: the first app that was refused; empty: none. After they
  // returned.
  const std::string& failed() const { return failed_; }
  // The app whose start is under way, for messages of other threads; null: none.
  const app::App* starting() const { return starting_.load(); }

  const std::atomic<const routing::Router*>& router() const { return current_router_; }
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

  // The configuration that the apps are of.
  const config::Config& config() const { return config_; }
  // The app of that entry of a configuration, unless something besides its settings differs; null:
  // none.
  app::App* find(const config::App& wanted) const;

  // What replaced apps are changed by (replacement.cpp).
  // Has these apps be the ones that are served, in this order; those that are new were started.
  // The result are those that were served before and are no more.
  std::vector<app::App*> serve(std::vector<std::unique_ptr<app::App>> fresh,
                               const std::vector<app::App*>& order, config::Config config);
  // Ends a generation that gets no new requests, as its life has it: drain, the last request,
  // shutdown, unload. `done` is told what became of its code. `app` goes on with others, or is one
  // that is served no more.
  void retire(std::unique_ptr<app::Generation> generation, const app::Occasion& why,
              std::function<void(app::Unloading)> done);
  // Takes over a generation whose start may not have returned, so that it is ended in the end.
  void keep(std::unique_ptr<app::Generation> generation);
  // Takes the generation of an app that is served no more.
  void ready_app(app::App& app, std::function<void(std::string fault)> done);
  void broadcast(const std::string& action, const app::Occasion& why);
  void changed() const {
    if (changed_) changed_();
  }

  // Tells all that a stop is decided (drain, and the event "stopping"). `told`: each has returned
  // from it, or has had its time; `finished`: each has said that it is done.
  void drain(const app::Occasion& why, std::function<void()> told, std::function<void()> finished);
  // Takes one app out of service: it is drained, and gets no requests from now on. `done` is told
  // how that went: empty, once it has said so and its last request has ended; or why it is not
  // drained.
  void drain_one(const std::string& name, const app::Occasion& why,
                 std::function<void(std::string fault)> done);
  // Gives it no requests any more, and calls none of its code for that.
  void quarantine(const std::string& name);

  // Every generation that has not ended. For use at once.
  std::vector<app::Generation*> generations() const;
  // Ends those for which `is_free` holds, and calls `done` when each has ended, and what was being
  // unloaded is.
  void shut_down(const app::Occasion& why,
                 const std::function<bool(const app::Generation&)>& is_free,
                 std::function<void()> done);
  // Those whose shutdown has not returned.
  const std::vector<app::Generation*>& ending() const { return ending_; }
  // The apps whose code is being unloaded: their static destructors run.
  std::vector<std::string> unloading() const;
  // Waits on only for those whose policy of an overrun is to wait; the result are the others.
  std::vector<app::Generation*> give_up_ending();
  // Whether an app failed to end, or runs code that cannot be waited for.
  bool any_stuck() const;

  // Everything an operator may want to know of them, as a JSON array. Asks those that declare
  // describe; answers when all have, or have had their time.
  void describe(std::function<void(nlohmann::json reports)> done);
  // Of each app its name, "in_flight", "requests" and "errors", without asking it. `running` says
  // on how many I/O threads a generation runs now.
  nlohmann::json numbers(const std::function<std::size_t(const app::Generation&)>& running) const;

 private:
  struct Retiring;
  struct Unloading;

  bool all_ended() const { return ending_.empty() && unloading_.empty(); }

  core::Result<std::unique_ptr<app::Generation>> load_for_mount(const Wanted& wanted);
  bool load_one(const Wanted& wanted);
  bool is_quarantined(const config::App& wanted, const app::Inspection& inspection);
  bool start_one(app::App& app);
  app::App* find(const std::string& name) const;
  void drop(app::App& app, const std::string& why);
  void schedule_health();
  void check_health(app::App& app);
  void on_health(const std::string& name, std::uint64_t generation, const app::Outcome& outcome);
  void route();
  void end_retiring(const std::shared_ptr<Retiring>& retiring);
  void unload(const std::shared_ptr<Retiring>& retiring);
  void on_unloaded(const std::shared_ptr<Unloading>& unloading, const app::Unloading& how);

  config::Config config_;
  app::Services& services_;
  Traffic& traffic_;
  boost::asio::io_context& io_;
  boost::asio::steady_timer health_timer_;
  bool draining_ = false;
  bool ended_ = false;  // shut_down() was called
  std::vector<std::string> quarantined_;
  std::string failed_;
  std::function<void()> changed_;

  std::vector<std::unique_ptr<app::App>> apps_;
  std::vector<app::App*> started_;
  std::vector<std::unique_ptr<app::App>> gone_;  // requests may hold a pointer to them
  std::vector<std::shared_ptr<Retiring>> retiring_;
  std::vector<std::unique_ptr<app::Generation>> kept_;  // that never served, or are stuck
  std::vector<const app::Generation*> asked_;           // whose health has not returned
  std::vector<app::Generation*> ending_;
  std::vector<std::shared_ptr<Unloading>> unloading_;
  std::function<void()> all_ended_;
  std::atomic<const app::App*> starting_{nullptr};
  std::unique_ptr<routing::Router> router_ = std::make_unique<routing::Router>();
  std::atomic<const routing::Router*> current_router_{router_.get()};
  std::vector<routing::Closed> closed_;  // mounts of apps that were not loaded
};

}  // namespace sonicorn::worker
