#include <boost/asio/post.hpp>
#include <nlohmann/json.hpp>

#include "app/manifest.hpp"
#include "core/log.hpp"
#include "worker/apps.hpp"

namespace sonicorn::worker {
namespace {

using Json = nlohmann::json;

// What the app asked for in its manifest and what it was told.
Json negotiated(const std::vector<std::string>& wanted, const app::Offer& offer) {
  Json answers = Json::object();
  for (const std::string& id : wanted) {
    answers[id] = offer.has(id) ? "offered" : offer.is_withheld(id) ? "withheld" : "not offered";
  }
  return answers;
}

Json report_of(const app::App& app, const app::Offer& offer) {
  const app::Inspection& inspection = app.inspection();
  const app::Generation& generation = app.current();
  Json attributes = Json::array();
  for (std::size_t i = 0; i < app::kAttributeCount; ++i) {
    const auto attribute = static_cast<app::Attribute>(i);
    if (inspection.attributes.has(attribute)) attributes.push_back(app::name_of(attribute));
  }
  return {
      {"name", app.name()},
      {"file", app.file().string()},
      {"mount", app.mount().empty() ? "/" : app.mount()},
      {"version", inspection.version},
      {"abi", inspection.abi},
      {"build_id", inspection.build_id},
      {"generation", generation.traits().number},
      {"attributes", attributes},
      {"requires", negotiated(inspection.requires_, offer)},
      {"uses", negotiated(inspection.uses, offer)},
      {"threads", app::name_of(inspection.threads)},
      {"blocking", inspection.blocking},
      {"ready", app.is_ready()},
      {"healthy", app.is_healthy()},
      {"serving", app.serving() != nullptr},
      {"pool_calls", generation.pool_calls()},
  };
}

std::string text_of(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace

void Apps::describe(std::function<void(std::string json)> done) {
  struct Answers {
    Json reports = Json::array();
    std::size_t missing = 0;
  };
  const auto answers = std::make_shared<Answers>();
  answers->missing = started_.size();
  for (const app::App* const app : started_) {
    answers->reports.push_back(report_of(*app, services_.offer));
  }
  if (started_.empty()) return done(text_of(answers->reports));
  for (std::size_t i = 0; i < started_.size(); ++i) {
    started_[i]->current().describe([this, answers, i, done](const app::Outcome& outcome,
                                                             std::string text) {
      boost::asio::post(io_, [answers, i, done, outcome, text = std::move(text)] {
        Json& report = answers->reports[i];
        const Json said = Json::parse(text, nullptr, false);
        if (outcome.called && outcome.ok() && said.is_object()) {
          report["description"] = said;
        } else if (outcome.called) {
          const std::string fault =
              outcome.overdue ? "describe did not return within its time"
              : !outcome.ok()
                  ? fmt::format("describe {} ({}): {}", outcome.result > 0 ? "declined" : "failed",
                                outcome.result, outcome.error)
                  : "describe gave no JSON object";
          core::log::error("app {}: {} (generation {})", report["name"].get<std::string>(), fault,
                           report["generation"].get<std::uint64_t>());
          report["description_error"] = fault;
        }
        if (--answers->missing == 0) done(text_of(answers->reports));
      });
    });
  }
}

}  // namespace sonicorn::worker
