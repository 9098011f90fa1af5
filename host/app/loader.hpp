#pragma once

#include <filesystem>
#include <memory>
#include <span>
#include <vector>

#include "app/app.hpp"
#include "app/runtime_dir.hpp"
#include "app/services.hpp"
#include "config/config.hpp"
#include "core/error.hpp"

namespace sonicorn::app {

// An app that is ready to be started, or all the reasons why it is refused.
struct Loaded {
  std::unique_ptr<App> app;  // null when refused
  std::vector<core::Error> reasons;
};

// Takes one app from its file to a loaded generation, of which nothing has been called: inspection,
// private copy, trial load in a child of `server_executable`, load. Runs the app's constructors
// only. What `services` offers is what the app may require; it outlives the app.
Loaded load_app(const config::App& wanted, const config::Config& config, Services& services,
                const RuntimeDir& copies, const std::filesystem::path& server_executable);

}  // namespace sonicorn::app
