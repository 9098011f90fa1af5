#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "app/app.hpp"
#include "app/build.hpp"
#include "app/generation.hpp"
#include "app/runtime_dir.hpp"
#include "app/services.hpp"
#include "config/config.hpp"
#include "core/error.hpp"
#include "core/result.hpp"

namespace sonicorn::app {

// What the operator calls the app: the configuration's name for it, else its own.
std::string name_of(const config::App& wanted, const Inspection& inspection);

// "" for the root or "/prefix".
std::string mount_of(const config::App& wanted);

// A message about a file, with the whole path where it has only the name.
std::string with_path(const std::filesystem::path& file, const std::string& message);

// What this server offers, without what the operator withholds.
Offer offer_of(const config::Config& config);

Owners owners_of(const config::Config& config);

// Says in the log what the app uses and does not get.
void tell_negotiated(const std::string& name, const Inspection& inspection, const Offer& offer);

// Loads a build that this process has not loaded before as generation `number` of its app, of which
// nothing is called. Runs the app's constructors on this thread. `services` outlives the result.
// Errors: those of Module::load.
core::Result<std::unique_ptr<Generation>> load_generation(const config::App& wanted,
                                                          const config::Config& config,
                                                          Services& services, const Build& build,
                                                          std::uint64_t number);

// The app of the configuration, served by this generation of this build.
std::unique_ptr<App> make_app(const config::App& wanted, const config::Config& config,
                              const Build& build, std::unique_ptr<Generation> generation);

// An app that is ready to be started, or all the reasons why it is refused.
struct Loaded {
  std::unique_ptr<App> app;  // null when refused
  std::vector<core::Error> reasons;
};

// Takes one app from its file to a loaded generation: inspection, private copy, trial load in a
// child of `server_executable`, load.
Loaded load_app(const config::App& wanted, const config::Config& config, Services& services,
                const RuntimeDir& copies, const std::filesystem::path& server_executable);

}  // namespace sonicorn::app
