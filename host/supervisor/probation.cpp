#include <fmt/format.h>
#include <sonicorn/context.h>

#include <algorithm>
#include <utility>

#include "core/log.hpp"
#include "supervisor/supervisor.hpp"

// A build that has just been switched to is watched, and the one before is returned to when it
// fails.
namespace sonicorn::supervisor {

namespace log = core::log;
using Json = nlohmann::json;

namespace {

constexpr std::chrono::milliseconds kProbationLook{250};
// Of fewer requests the rate of errors says nothing.
constexpr std::uint64_t kFewRequests = 20;

}  // namespace

void Supervisor::watch_probation() {
  const bool any = std::any_of(served_.begin(), served_.end(),
                               [](const Served& each) { return each.on_probation; });
  if (!any || stage_ != Stage::serving) return;
  probation_timer_.expires_after(kProbationLook);
  probation_timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) check_probation();
  });
}

void Supervisor::check_probation() {
  for (Served& each : served_) {
    if (each.on_probation && Clock::now() - each.switched > config_.reload.probation) {
      log::info("app {}: generation {} has passed its probation", each.name, each.generation);
      each.on_probation = false;
      each.previous = nullptr;
    }
  }
  ask_all("numbers", Json::object(), {}, [this](const std::vector<Said>& said) {
    for (const Served& each : std::vector<Served>(served_)) {
      if (!each.on_probation) continue;
      std::uint64_t requests = 0;
      std::uint64_t errors = 0;
      bool healthy = true;
      for (const Said& worker : said) {
        if (!worker.json.is_array()) continue;
        for (const Json& app : worker.json) {
          if (app.value("name", std::string()) != each.name ||
              app.value("generation", std::uint64_t{0}) != each.generation) {
            continue;
          }
          healthy = healthy && app.value("healthy", true);
          requests += app.value("generation_requests", std::uint64_t{0});
          errors += app.value("generation_errors", std::uint64_t{0});
        }
      }
      if (!healthy) {
        on_probation_failed(each.name, "it is unhealthy");
      } else if (requests >= kFewRequests &&
                 static_cast<double>(errors) >
                     config_.reload.error_rate * static_cast<double>(requests)) {
        on_probation_failed(each.name,
                            fmt::format("{} of its {} requests failed", errors, requests));
      } else if (config_.reload.probation_requests != 0 &&
                 requests >= config_.reload.probation_requests) {
        commit(each.name, [](const std::string&) {});
      }
    }
    watch_probation();
  });
}

// Whether that is what serves now, and not a generation that was replaced or that is tried; 0: not
// known.
bool Supervisor::is_served(const std::string& app, std::uint64_t generation) const {
  return generation == 0 || std::any_of(served_.begin(), served_.end(), [&](const Served& each) {
           return each.name == app && (each.generation == generation || each.former == generation);
         });
}

void Supervisor::on_probation_failed(const std::string& app, const std::string& why) {
  for (Served& each : served_) {
    if (each.name != app || !each.on_probation || each.previous == nullptr) continue;
    each.on_probation = false;
    log::error(
        "app {}: generation {} fails its probation ({}), so the server returns to the build "
        "before",
        app, each.generation, why);
    return wish({.only = app,
                 .rollback = true,
                 .reason = SONICORN_REASON_ROLLBACK,
                 .message = why,
                 .done = {}});
  }
}

}  // namespace sonicorn::supervisor
