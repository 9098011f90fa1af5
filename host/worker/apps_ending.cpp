#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <thread>
#include <utility>

#include "app/loader.hpp"
#include "core/log.hpp"
#include "core/own_thread.hpp"
#include "worker/apps.hpp"

// How generations of apps come to their end: replaced by another, or with the process.
namespace sonicorn::worker {

namespace asio = boost::asio;
namespace log = core::log;

// A generation after it was replaced, until its code is gone.
struct Apps::Retiring {
  std::unique_ptr<app::Generation> generation;
  app::Occasion why;
  std::function<void(app::Unloading)> done;
  bool drained = false;
  bool left = false;
  bool ending = false;                           // its shutdown was called, or others see to that
  std::unique_ptr<asio::steady_timer> deadline;  // of its drain
};

// A generation whose code is being unloaded, on a thread of its own: the static destructors of the
// app take as long as they take.
struct Apps::Unloading {
  std::string name;
  std::uint64_t number = 0;
  std::function<void(app::Unloading)> done;
  std::thread thread;
};

void Apps::route() {
  auto fresh = std::make_unique<routing::Router>();
  for (app::App* const app : started_) fresh->add(*app);
  for (const routing::Closed& closed : closed_) fresh->close(closed);
  if (!config_.health_path.empty()) fresh->keep_for_health(config_.health_path);
  const std::shared_ptr<routing::Router> before = std::exchange(router_, std::move(fresh));
  current_router_.store(router_.get(), std::memory_order_release);
  app::App::forget_ways();
  traffic_.when_rerouted([before] {});
}

std::vector<app::App*> Apps::serve(std::vector<std::unique_ptr<app::App>> fresh,
                                   const std::vector<app::App*>& order, config::Config config) {
  std::vector<app::App*> gone;
  for (auto& app : fresh) {
    std::erase_if(closed_, [&](const auto& closed) { return closed.mount == app->mount(); });
    apps_.push_back(std::move(app));
  }
  started_ = order;
  for (auto& app : apps_) {
    if (std::find(order.begin(), order.end(), app.get()) != order.end()) continue;
    gone.push_back(app.get());
    gone_.push_back(std::move(app));
  }
  std::erase(apps_, nullptr);
  config_ = std::move(config);
  route();
  return gone;
}

void Apps::keep(std::unique_ptr<app::Generation> generation) {
  kept_.push_back(std::move(generation));
}

void Apps::retire(std::unique_ptr<app::Generation> generation, const app::Occasion& why,
                  std::function<void(app::Unloading)> done) {
  if (ended_) return keep(std::move(generation));  // it ends, or has ended, with all others
  const auto retiring = std::make_shared<Retiring>();
  retiring->generation = std::move(generation);
  retiring->why = why;
  retiring->done = std::move(done);
  retiring_.push_back(retiring);
  app::Generation& leaver = *retiring->generation;
  const auto step = [this, retiring] {
    if (ended_) return;  // with all others
    if (retiring->drained && retiring->left && !retiring->ending) end_retiring(retiring);
  };
  app::Occasion last = why;
  last.deadline = std::chrono::steady_clock::now() + config_.grace;
  retiring->deadline = std::make_unique<asio::steady_timer>(io_, last.deadline);
  retiring->deadline->async_wait([retiring, step](const boost::system::error_code& error) {
    if (error) return;
    retiring->drained = true;
    step();
  });
  leaver.drain(
      last,
      [name = leaver.name()](const app::Outcome& outcome) {
        if (outcome.result < 0 || outcome.overdue) {
          log::error("app {}: drain failed or did not return in time", name);
        }
      },
      [this, retiring, step] {
        asio::post(io_, [retiring, step] {
          retiring->drained = true;
          step();
        });
      });
  traffic_.when_left(leaver, [retiring, step] {
    retiring->left = true;
    step();
  });
}

void Apps::end_retiring(const std::shared_ptr<Retiring>& retiring) {
  retiring->ending = true;
  retiring->deadline.reset();
  app::Occasion why = retiring->why;
  why.deadline = std::chrono::steady_clock::now() + app::kLeastShutdown;
  retiring->generation->shutdown(why, [this, retiring](const app::Outcome& outcome) {
    asio::post(io_, [this, retiring, outcome] {
      // The end of the process has come between.
      if (std::erase(retiring_, retiring) == 0) return;
      services_.watchdog.settle();
      const std::string name = retiring->generation->name();
      const std::uint64_t number = retiring->generation->traits().number;
      const auto asked =
          asked_.end() != std::find(asked_.begin(), asked_.end(), retiring->generation.get());
      if (outcome.overdue || retiring->generation->is_stuck() || asked || ended_) {
        const app::Unloading unloading{false, "a call into it did not return"};
        kept_.push_back(std::move(retiring->generation));
        log::warning("app {}: generation {} is pinned: {}", name, number, unloading.cause);
        return retiring->done(unloading);
      }
      unload(retiring);
    });
  });
}

void Apps::unload(const std::shared_ptr<Retiring>& retiring) {
  const app::Generation::Traits& traits = retiring->generation->traits();
  const auto unloading = std::make_shared<Unloading>(
      Unloading{traits.name, traits.number, std::move(retiring->done), {}});
  unloading_.push_back(unloading);
  unloading->thread = core::start_own_thread(
      [this, unloading, generation = std::move(retiring->generation)]() mutable {
        const app::Unloading how = app::Generation::retire(std::move(generation));
        asio::post(io_, [this, unloading, how] { on_unloaded(unloading, how); });
      });
}

void Apps::on_unloaded(const std::shared_ptr<Unloading>& unloading, const app::Unloading& how) {
  unloading->thread.join();
  std::erase(unloading_, unloading);
  log::info("app {}: generation {} is {}{}", unloading->name, unloading->number,
            how.gone ? "unloaded" : "pinned: ", how.gone ? "" : how.cause);
  unloading->done(how);
  if (all_ended_ && all_ended()) std::exchange(all_ended_, nullptr)();
}

std::vector<std::string> Apps::unloading() const {
  std::vector<std::string> names;
  for (const auto& each : unloading_) names.push_back(each->name);
  return names;
}

std::vector<app::Generation*> Apps::generations() const {
  std::vector<app::Generation*> all;
  for (const auto* list : {&apps_, &gone_}) {
    for (const auto& app : *list) {
      if (app->has_generation()) all.push_back(&app->current());
    }
  }
  for (const auto& retiring : retiring_) all.push_back(retiring->generation.get());
  for (const auto& kept : kept_) all.push_back(kept.get());
  return all;
}

void Apps::shut_down(const app::Occasion& why,
                     const std::function<bool(const app::Generation&)>& is_free,
                     std::function<void()> done) {
  ended_ = true;
  // Those that were on their way out end with all others.
  for (const auto& retiring : std::exchange(retiring_, {})) {
    retiring->ending = true;
    retiring->deadline.reset();
    kept_.push_back(std::move(retiring->generation));
  }
  for (app::Generation* const each : generations()) {
    if (is_free(*each)) ending_.push_back(each);
  }
  if (all_ended()) return done();
  all_ended_ = std::move(done);
  for (app::Generation* const each : std::vector<app::Generation*>(ending_)) {
    const bool served = std::any_of(started_.begin(), started_.end(), [&](const app::App* app) {
      return app->has_generation() && &app->current() == each;
    });
    each->shutdown(why, [this, each, served](const app::Outcome& outcome) {
      asio::post(io_, [this, each, served, outcome] {
        if (outcome.called && !outcome.overdue) {
          log::info("app {}: shut down", each->name());
        } else if (served && !outcome.overdue) {
          log::info("app {}: ended; it declares no shutdown", each->name());
        }
        std::erase(ending_, each);
        if (all_ended_ && all_ended()) std::exchange(all_ended_, nullptr)();
      });
    });
  }
}

std::vector<app::Generation*> Apps::give_up_ending() {
  const auto waited_for = std::stable_partition(
      ending_.begin(), ending_.end(),
      [](const app::Generation* each) { return each->traits().overrun == config::Overrun::wait; });
  std::vector<app::Generation*> given_up(waited_for, ending_.end());
  ending_.erase(waited_for, ending_.end());
  return given_up;
}

bool Apps::any_stuck() const {
  if (!unloading_.empty()) return true;
  const std::vector<app::Generation*> all = generations();
  return std::any_of(all.begin(), all.end(),
                     [](const app::Generation* each) { return each->is_stuck(); });
}

}  // namespace sonicorn::worker
