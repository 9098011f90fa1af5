#pragma once

#include <atomic>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "app/build.hpp"
#include "config/config.hpp"
#include "worker/apps.hpp"
#include "worker/traffic.hpp"

namespace sonicorn::worker {

// One change of what a worker serves, as its part of a transaction over all workers: prepare(),
// then, where some app must never run twice at once, exchange(), then commit() or drop(). Until
// commit() nothing has changed for a client. For the main loop's thread, where answers are given,
// too; what may block runs on a thread of its own.
class Replacement {
 public:
  // What becomes of one app of the new configuration.
  struct Part {
    std::size_t index = 0;            // in Config::apps
    bool replaces = false;            // false: the generation stays, with new settings maybe
    bool alone = false;               // the old generation has ended before the new one starts
    std::uint64_t generation = 0;     // the new one's number
    std::optional<app::Build> build;  // of the new one
    std::optional<app::Build> spare;  // of the old one, to return to; where `alone`
    std::uint64_t spare_generation = 0;
  };
  // Why not: the fault as a whole sentence; empty: it went well.
  using Done = std::function<void(std::string fault)>;

  Replacement(Apps& apps, app::Services& services, Traffic& traffic, boost::asio::io_context& io,
              config::Config config, std::vector<Part> parts, app::Occasion why);
  ~Replacement();
  Replacement(const Replacement&) = delete;
  Replacement& operator=(const Replacement&) = delete;

  // Asks those that serve (reload), loads the new generations, and starts those that may run beside
  // the old ones. After a fault drop() is due.
  void prepare(Done done);
  // Has requests of the apps that must run alone wait, ends their old generations and starts the
  // new ones with what those saved. After a fault drop() is due.
  void exchange(Done done);
  // The new generations serve. `done` when each has been told so (ready); what was replaced is
  // ended meanwhile, and `retired` tells of each.
  using Retired =
      std::function<void(const std::string& app, std::uint64_t generation, app::Unloading)>;
  void commit(Done done, Retired retired);
  // Nothing has changed: the old generations serve. `done` when it is so, or with a fault: an old
  // build that had ended already does not come up again, and its requests are answered with 503.
  void drop(Done done);

  // What became of saved states, one object an app: "app", "state" ("handed over", "declined: ...",
  // "none").
  const nlohmann::json& states() const { return states_; }

  // Has the step under way come to its end soon, with a fault.
  void give_up();
  // The same for a server that stops; nobody is told of a drop() then.
  void stop();

 private:
  struct Work;  // one part under way

  void run(std::function<std::string()> task, Done done);
  std::string prepare_all();
  std::string prepare_one(Work& work);
  std::string ask(Work& work);
  std::string bring_up(app::Generation& generation, Work& work);
  void when_alone(std::size_t next, std::chrono::steady_clock::time_point deadline, Done done);
  std::string exchange_all();
  std::string exchange_one(Work& work);
  void hand_over(Work& work);
  std::string return_to_spare(Work& work);
  std::string leave_stuck(Work& work);
  std::string close(Work& work, std::string fault);
  void end_candidate(Work& work);
  std::string conflict() const;
  template <class Call>
  app::Outcome outcome_of(const Call& call);
  template <class Call, class Patience>
  static app::Outcome outcome_of(const Call& call, Patience has_patience);

  Apps& apps_;
  app::Services& services_;
  Traffic& traffic_;
  boost::asio::io_context& io_;
  config::Config config_;
  app::Occasion why_;
  std::vector<std::unique_ptr<Work>> works_;
  nlohmann::json states_ = nlohmann::json::array();
  std::atomic<bool> given_up_{false};
  std::atomic<bool> stopping_{false};
  std::function<void()> interrupt_;  // ends the wait for requests that is under way
  std::thread thread_;
};

}  // namespace sonicorn::worker
