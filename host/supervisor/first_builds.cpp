#include <sonicorn/context.h>

#include <memory>
#include <utility>

#include "app/loader.hpp"
#include "core/log.hpp"
#include "supervisor/names.hpp"
#include "supervisor/supervisor.hpp"

// What the server begins with.
namespace sonicorn::supervisor {

namespace log = core::log;

using Json = nlohmann::json;

// The builds that the server begins with.
void Supervisor::make_first_builds() {
  if (auto opened = builder_.open(config_.runtime_dir); !opened) {
    log::error("{}", opened.error().message);
    status_ = 1;
    return begin_stop(SONICORN_REASON_START_FAILED, 0, {});
  }
  served_.resize(config_.apps.size());
  const auto open = std::make_shared<std::size_t>(config_.apps.size() + 1);
  const auto one_made = [this, open] {
    if (--*open == 0) on_first_builds();
  };
  for (std::size_t i = 0; i < config_.apps.size(); ++i) {
    builder_.make(config_.apps[i], config_, [this, i, one_made](Builder::Made made) {
      Served& served = served_[i];
      served.wanted = config_.apps[i];
      served.build = std::move(made.build);
      served.generation = next_generation(served.wanted);
      tell_made(served.wanted, made.warnings, made.reasons);
      one_made();
    });
  }
  one_made();
}

void Supervisor::tell_made(const config::App& wanted, const std::vector<std::string>& warnings,
                           const std::vector<core::Error>& reasons) const {
  for (const std::string& warning : warnings) {
    log::warning("{}: {}", wanted.file.string(), warning);
  }
  for (const core::Error& reason : reasons) {
    log::error("{}{}refused: {}", wanted.where, wanted.where.empty() ? "" : ": ",
               app::with_path(wanted.file, reason.message));
  }
}

void Supervisor::on_first_builds() {
  if (stage_ != Stage::starting) return;
  std::vector<Served*> all;
  for (Served& served : served_) all.push_back(&served);
  if (const std::string fault = give_names(all); !fault.empty()) {
    log::error("{}", fault);
    status_ = 1;
    return begin_stop(SONICORN_REASON_START_FAILED, 0, {});
  }
  const app::Offer offer = app::offer_of(config_);
  bool all_good = true;
  for (const Served& served : served_) {
    if (served.build == nullptr) {
      all_good = false;
    } else {
      app::tell_negotiated(served.name, served.build->inspection, offer);
    }
  }
  if (!all_good && !config_.skip_broken) {
    log::error("not serving: mend what is refused, or serve the others with --skip-broken");
    status_ = 1;
    return begin_stop(SONICORN_REASON_START_FAILED, 0, {});
  }
  spawn_all();
}

std::uint64_t Supervisor::next_generation(const config::App& wanted) {
  return ++generations_[wanted.file.lexically_normal().string() + '\n' + wanted.mount];
}

Json Supervisor::builds_of_workers() const {
  Json builds = Json::array();
  for (std::size_t i = 0; i < served_.size(); ++i) {
    if (served_[i].build == nullptr) continue;
    builds.push_back({{"index", i},
                      {"generation", served_[i].generation},
                      {"settings", served_[i].wanted.settings},
                      {"build", app::describe(*served_[i].build, served_[i].name)}});
  }
  return builds;
}

}  // namespace sonicorn::supervisor
