#pragma once

#include <chrono>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <vector>

#include "app/inspection.hpp"
#include "app/module_file.hpp"
#include "core/result.hpp"

namespace sonicorn::app {

// One app's file as it was at one moment: an immutable private copy of it and of the libraries
// beside it, with what is known of it. Who loads it needs the file no more. A value.
struct Build {
  std::filesystem::path file;  // where the user has it, for messages
  std::filesystem::path copy;
  Inspection inspection;
};

// What came of making one: a build, or all the reasons why the file is refused.
struct MadeBuild {
  std::optional<Build> build;
  std::vector<std::string> warnings;  // of the inspection, also of a refused file
  std::vector<core::Error> reasons;
};

// Reads `file` once, inspects what was read, and writes it to `copy`, a new file in a folder that
// nobody else writes to. `offer` is what the app may require. Runs no code of it. Thread-safe.
MadeBuild make_build(const std::filesystem::path& file, const std::filesystem::path& copy,
                     const Offer& offer, Owners owners);

// The build of `file` whose copy another process has made and described: what is in the copy is
// inspected again, its name and what is known of its libraries is taken from `described`. Errors:
// those of read_module_file, app.refused.
core::Result<Build> find_build(const std::filesystem::path& file, const nlohmann::json& described);

// For find_build(), as an app of that name.
nlohmann::json describe(const Build& build, const std::string& name);

// A second copy of the same build at `copy`, a new file: the loader answers a file that it has
// loaded already with the code that it has. Error: host.private_copy.
core::Result<Build> copy_build(const Build& build, const std::filesystem::path& copy);

// Removes the copies. Code that was loaded from them stays.
void remove_build(const Build& build);

}  // namespace sonicorn::app
