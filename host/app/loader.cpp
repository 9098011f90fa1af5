#include "app/loader.hpp"

#include <unistd.h>

#include <utility>

#include "app/module.hpp"
#include "app/trial.hpp"
#include "core/alternate_stack.hpp"
#include "core/crash.hpp"
#include "core/log.hpp"
#include "core/place.hpp"

namespace sonicorn::app {

std::string name_of(const config::App& wanted, const Inspection& inspection) {
  return wanted.name.empty() ? inspection.name : wanted.name;
}

std::string mount_of(const config::App& wanted) {
  return wanted.mount == "/" ? std::string() : wanted.mount;
}

std::string with_path(const std::filesystem::path& file, const std::string& message) {
  const std::string path = file.string();
  const std::string name = file.filename().string();
  if (message.find(path) != std::string::npos) return message;
  if (message.starts_with(name)) return path + message.substr(name.size());
  return path + ": " + message;
}

Offer offer_of(const config::Config& config) {
  Offer offer = Offer::of_server();
  // A capability that this server never delivers is withheld already.
  for (const std::string& name : config.without) static_cast<void>(offer.withhold(name));
  return offer;
}

Owners owners_of(const config::Config& config) {
  return config.check_owners ? Owners::trusted : Owners::any;
}

void tell_negotiated(const std::string& name, const Inspection& inspection, const Offer& offer) {
  for (const std::string& id : inspection.uses) {
    if (offer.has(id)) continue;
    core::log::info(
        "app {}: uses {}, which {}; it goes on without", name, id,
        offer.is_withheld(id) ? "the operator withholds" : "this server does not deliver");
  }
}

core::Result<std::unique_ptr<Generation>> load_generation(const config::App& wanted,
                                                          const config::Config& config,
                                                          Services& services, const Build& build,
                                                          std::uint64_t number) {
  const Inspection& inspection = build.inspection;
  const std::string name = name_of(wanted, inspection);
  ThreadBirths threads_before = threads_of_process();
  const std::uint64_t event = services.begin_event(name, number, inspection.build_id, "load");
  // Constructors of the app run on this thread.
  core::use_alternate_stack();
  const core::PlaceHere here({name, inspection.build_id, number, "its load"});
  // A constructor that hangs here, though the trial was well, holds the dynamic linker's lock.
  const std::uint64_t watched = services.watchdog.watch({.app = name,
                                                         .attribute = "its load",
                                                         .generation = number,
                                                         .thread = ::gettid(),
                                                         .begun = std::chrono::steady_clock::now(),
                                                         .limit = config.load_time,
                                                         .policy = config::Overrun::kill,
                                                         .abandon = {}});
  auto module = Module::load(build.copy, inspection);
  services.watchdog.unwatch(watched);
  core::expect_no_exit();
  services.end_event(event, module ? "ok" : "failed: " + module.error().message);
  if (!module) return module.error();
  return std::make_unique<Generation>(
      std::move(*module),
      Generation::Traits{.name = name,
                         .number = number,
                         .blocking = inspection.blocking,
                         .serial = inspection.threads == Threads::serial,
                         .overrun = wanted.overrun.value_or(config.lifecycle.overrun),
                         .build_id = inspection.build_id,
                         .pinned_by = predicted_pin(inspection),
                         .threads_before = std::move(threads_before)},
      ServerView::Facts{.app_name = name, .mount = mount_of(wanted), .settings = wanted.settings},
      services);
}

std::unique_ptr<App> make_app(const config::App& wanted, const config::Config& config,
                              const Build& build, std::unique_ptr<Generation> generation) {
  return std::make_unique<App>(App::Facts{.file = wanted.file,
                                          .mount = mount_of(wanted),
                                          .body_limit = wanted.body.value_or(config.limits.body),
                                          .settings = wanted.settings,
                                          .inspection = build.inspection},
                               std::move(generation));
}

Loaded load_app(const config::App& wanted, const config::Config& config, Services& services,
                const RuntimeDir& copies, const std::filesystem::path& server_executable) {
  constexpr std::uint64_t kFirst = 1;
  MadeBuild made =
      make_build(wanted.file, private_copy_path(copies, wanted.file.stem().string(), kFirst),
                 services.offer, owners_of(config));
  for (const std::string& warning : made.warnings) {
    core::log::warning("{}: {}", wanted.file.string(), warning);
  }
  if (!made.build) return {nullptr, std::move(made.reasons)};
  if (auto tried = trial_load(server_executable, made.build->copy, wanted.file, config.load_time);
      !tried) {
    return {nullptr, {tried.error()}};
  }
  auto generation = load_generation(wanted, config, services, *made.build, kFirst);
  if (!generation) return {nullptr, {generation.error()}};
  tell_negotiated((*generation)->name(), made.build->inspection, services.offer);
  return {make_app(wanted, config, *made.build, std::move(*generation)), {}};
}

}  // namespace sonicorn::app
