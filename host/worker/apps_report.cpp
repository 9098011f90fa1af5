#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>
#include <vector>

#include "core/log.hpp"
#include "worker/apps.hpp"

namespace sonicorn::worker {
namespace {

using Json = nlohmann::json;

// For the watchdog to give up a call that is overdue.
constexpr std::chrono::seconds kAfterDescription{2};

Json report_of(const app::App& app) {
  const app::Generation& generation = app.current();
  return {
      {"name", app.name()},
      {"generation", generation.traits().number},
      {"ready", app.is_ready()},
      {"healthy", app.is_healthy()},
      {"serving", app.serving() != nullptr},
      {"pool_calls", generation.pool_calls()},
      {"requests", generation.requests()},
      {"errors", generation.errors()},
  };
}

// Why a description is missing; empty when it is there, or the app declares none.
std::string fault_of(const app::Outcome& outcome, const Json& said) {
  if (!outcome.called) return {};
  if (outcome.overdue) return "describe did not return within its time";
  if (!outcome.ok()) {
    return fmt::format("describe {} ({}): {}", outcome.result > 0 ? "declined" : "failed",
                       outcome.result, outcome.error);
  }
  return said.is_object() ? std::string() : "describe gave no JSON object";
}

// The answers to one question. Gives the report once: when all apps have answered, or when nothing
// more can be expected, because a thread is stuck in an earlier call.
class Answers {
 public:
  Answers(Json reports, boost::asio::io_context& io, std::function<void(Json)> done)
      : reports_(std::move(reports)),
        missing_(reports_.size(), true),
        deadline_(io),
        done_(std::move(done)) {}

  boost::asio::steady_timer& deadline() { return deadline_; }

  void take(std::size_t app, const app::Outcome& outcome, const std::string& text) {
    if (done_ == nullptr || !missing_[app]) return;
    missing_[app] = false;
    Json& report = reports_[app];
    const Json said = Json::parse(text, nullptr, false);
    if (const std::string fault = fault_of(outcome, said); !fault.empty()) {
      core::log::error("app {}: {} (generation {})", report["name"].get<std::string>(), fault,
                       report["generation"].get<std::uint64_t>());
      report["description_error"] = fault;
    } else if (outcome.called) {
      report["description"] = said;
    }
    if (std::find(missing_.begin(), missing_.end(), true) == missing_.end()) give();
  }

  void give_up() {
    if (done_ == nullptr) return;
    for (std::size_t app = 0; app < missing_.size(); ++app) {
      if (missing_[app]) {
        reports_[app]["description_error"] = "its lifecycle thread is in another call";
      }
    }
    give();
  }

 private:
  void give() {
    deadline_.cancel();
    std::exchange(done_, nullptr)(std::move(reports_));
  }

  Json reports_;
  std::vector<bool> missing_;
  boost::asio::steady_timer deadline_;
  std::function<void(Json)> done_;
};

}  // namespace

Json Apps::numbers(const std::function<std::size_t(const app::Generation&)>& running) const {
  Json all = Json::array();
  for (const app::App* const app : started_) {
    // An app whose generation is being exchanged has none for a moment.
    std::size_t in_flight = 0;
    std::uint64_t number = 0;
    std::uint64_t requests = 0;
    std::uint64_t errors = 0;
    for (const app::Generation* const each : generations()) {
      if (each->name() == app->name()) in_flight += running(*each) + each->pool_calls();
    }
    if (app->has_generation()) {
      number = app->current().traits().number;
      requests = app->current().requests();
      errors = app->current().errors();
    }
    all.push_back({{"name", app->name()},
                   {"generation", number},
                   {"in_flight", in_flight},
                   {"requests", app->past_requests() + requests},
                   {"errors", app->past_errors() + errors},
                   {"healthy", app->is_healthy()},
                   {"generation_requests", requests},
                   {"generation_errors", errors}});
  }
  return all;
}

void Apps::describe(std::function<void(Json reports)> done) {
  Json reports = Json::array();
  for (const app::App* const app : started_) reports.push_back(report_of(*app));
  if (started_.empty()) return done(std::move(reports));
  const auto answers = std::make_shared<Answers>(std::move(reports), io_, std::move(done));
  answers->deadline().expires_after(config_.lifecycle.call_time + kAfterDescription);
  answers->deadline().async_wait([answers](const boost::system::error_code& error) {
    if (!error) answers->give_up();
  });
  for (std::size_t i = 0; i < started_.size(); ++i) {
    started_[i]->current().describe([this, answers, i](const app::Outcome& outcome,
                                                       std::string text) {
      boost::asio::post(
          io_, [answers, i, outcome, text = std::move(text)] { answers->take(i, outcome, text); });
    });
  }
}

}  // namespace sonicorn::worker
