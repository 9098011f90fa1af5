#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "config/config.hpp"
#include "supervisor/builder.hpp"
#include "supervisor/quarantine.hpp"

// What the supervisor knows of the apps that are served, and of a change of them under way.
namespace sonicorn::supervisor {

// One app of the configuration and the build that serves it.
struct Served {
  config::App wanted;
  std::string name;  // as the operator calls it; of this app alone
  KeptBuild build;   // null: it was refused, and the server does without it
  std::uint64_t generation = 0;
  std::uint64_t former = 0;  // of the same build, where a reload was left before its end; 0: none

  // The build before, as long as there may be a return to it.
  KeptBuild previous;
  bool on_probation = false;
  std::chrono::steady_clock::time_point switched{};
};

// Whether it is the same app but for its settings.
bool is_same(const config::App& one, const config::App& other);

// Somebody wants a change.
struct ReloadWish {
  std::string only;          // the app that is meant; empty: all, and the configuration
  bool always = false;       // also builds that have not changed begin anew
  bool forced = false;       // also where a build loses what the one before had
  bool rollback = false;     // to the build before
  std::uint32_t reason = 0;  // SONICORN_REASON_...
  int signal = 0;
  std::string message;
  // Called once: "ok", and "apps" (what was switched) or "error" (why nothing was).
  std::vector<std::function<void(nlohmann::json)>> done;
};

// A change under way.
struct Reload {
  struct App {
    Served next;
    KeptBuild old;  // that serves now; null: none
    std::string old_name;
    std::uint64_t old_generation = 0;
    bool replaces = false;
    bool alone = false;  // the old generation ends before the new one starts
    KeptBuild spare;     // of the old build, for the return to it
    std::uint64_t spare_generation = 0;
  };

  ReloadWish wish;
  std::chrono::steady_clock::time_point begun = std::chrono::steady_clock::now();
  std::string text;       // of the configuration file
  config::Config config;  // what it says
  std::vector<App> apps;  // in the order of the configuration
  std::size_t building = 0;
  std::vector<std::string> faults;
  bool waits = false;          // for workers that were told to serve a moment ago
  bool chosen = false;         // who takes part: whoever comes later has to wait
  std::vector<pid_t> workers;  // that take part
  bool exchanging = false;     // old generations of apps that must be alone have ended, or may have
  bool committed = false;
  bool renews_workers = false;  // the configuration asks something else of them than before
  // Nobody served, so it is committed to be tried by the next worker that starts; what is returned
  // to when that does not come up.
  struct Before {
    std::string text;
    config::Config config;
    std::vector<Served> served;
    std::set<std::string> drained;
    Quarantine quarantine;
  };
  std::optional<Before> before;
  nlohmann::json states = nlohmann::json::array();  // what became of saved states
};

}  // namespace sonicorn::supervisor
