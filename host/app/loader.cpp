#include "app/loader.hpp"

#include <utility>

#include "app/inspection.hpp"
#include "app/module.hpp"
#include "app/trial.hpp"
#include "core/alternate_stack.hpp"
#include "core/crash.hpp"
#include "core/log.hpp"
#include "core/place.hpp"

namespace sonicorn::app {
namespace {

constexpr std::uint64_t kFirstGeneration = 1;

Owners owners_of(const config::Config& config) {
  return config.check_owners ? Owners::trusted : Owners::any;
}

std::string mount_of(const config::App& wanted) {
  return wanted.mount == "/" ? std::string() : wanted.mount;
}

core::Result<Module> load_module(std::string_view bytes, const Inspection& inspection,
                                 const std::string& name, const config::App& wanted,
                                 const config::Config& config, const RuntimeDir& copies,
                                 const std::filesystem::path& server_executable) {
  auto copy = write_private_copy(copies, bytes, inspection.name, kFirstGeneration);
  if (!copy) return copy.error();
  if (auto copied = copy_libraries_beside(*copy, inspection.libraries_beside, owners_of(config));
      !copied) {
    return copied.error();
  }
  if (auto tried = trial_load(server_executable, *copy, wanted.file, config.load_time); !tried) {
    return tried.error();
  }
  // Constructors of the app run on this thread.
  core::use_alternate_stack();
  const core::PlaceHere here({name, inspection.build_id, kFirstGeneration, "its load"});
  auto module = Module::load(*copy, inspection);
  core::expect_no_exit();
  return module;
}

// What it wanted and does not get, for the operator.
void tell_negotiated(const std::string& name, const Inspection& inspection, const Offer& offer) {
  for (const std::string& id : inspection.uses) {
    if (offer.has(id)) continue;
    core::log::info(
        "app {}: uses {}, which {}; it goes on without", name, id,
        offer.is_withheld(id) ? "the operator withholds" : "this server does not deliver");
  }
}

}  // namespace

Loaded load_app(const config::App& wanted, const config::Config& config, Services& services,
                const RuntimeDir& copies, const std::filesystem::path& server_executable) {
  const auto bytes = read_module_file(wanted.file, owners_of(config));
  if (!bytes) return {nullptr, {bytes.error()}};
  Inspection inspection = inspect(*bytes, wanted.file, services.offer);
  for (const std::string& warning : inspection.warnings) {
    core::log::warning("{}: {}", wanted.file.string(), warning);
  }
  if (!inspection.loadable()) {
    Loaded refused;
    for (const std::string& reason : inspection.reasons) {
      refused.reasons.push_back(core::app_error("app.refused", reason));
    }
    return refused;
  }
  const std::string name = wanted.name.empty() ? inspection.name : wanted.name;
  auto module = load_module(*bytes, inspection, name, wanted, config, copies, server_executable);
  if (!module) return {nullptr, {module.error()}};

  tell_negotiated(name, inspection, services.offer);
  const std::string mount = mount_of(wanted);
  auto generation = std::make_unique<Generation>(
      std::move(*module),
      Generation::Traits{.name = name,
                         .number = kFirstGeneration,
                         .blocking = inspection.blocking,
                         .serial = inspection.threads == Threads::serial,
                         .overrun = wanted.overrun.value_or(config.lifecycle.overrun),
                         .build_id = inspection.build_id},
      ServerView::Facts{.app_name = name, .mount = mount, .settings = wanted.settings}, services);
  return {std::make_unique<App>(App::Facts{.file = wanted.file,
                                           .mount = mount,
                                           .body_limit = wanted.body.value_or(config.limits.body),
                                           .settings = wanted.settings,
                                           .inspection = std::move(inspection)},
                                std::move(generation)),
          {}};
}

}  // namespace sonicorn::app
