#include "app/build.hpp"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "app/module.hpp"

namespace sonicorn::app {

namespace fs = std::filesystem;
using Json = nlohmann::json;

MadeBuild make_build(const fs::path& file, const fs::path& copy, const Offer& offer,
                     Owners owners) {
  MadeBuild made;
  const auto refused = [&made](core::Error error) {
    made.reasons.push_back(std::move(error));
    return std::move(made);
  };
  const auto bytes = read_module_file(file, owners);
  if (!bytes) return refused(bytes.error());
  Inspection inspection = inspect(*bytes, file, offer);
  made.warnings = inspection.warnings;
  if (!inspection.loadable()) {
    for (const std::string& reason : inspection.reasons) {
      made.reasons.push_back(core::app_error("app.refused", reason));
    }
    return made;
  }
  if (owners == Owners::trusted) {
    for (const NeededLibrary& library : inspection.libraries) {
      if (auto trusted = check_library(library.file); !trusted) return refused(trusted.error());
    }
  }
  if (auto written = write_private_copy(copy, *bytes); !written) return refused(written.error());
  if (auto copied = copy_libraries_beside(copy, inspection.libraries_beside, owners); !copied) {
    return refused(copied.error());
  }
  made.build = Build{.file = file, .copy = copy, .inspection = std::move(inspection)};
  return made;
}

core::Result<Build> find_build(const fs::path& file, const Json& described) {
  const fs::path copy = described.value("copy", std::string());
  const auto bytes = read_module_file(copy);
  if (!bytes) return bytes.error();
  // What it may require was checked when the copy was made.
  Inspection inspection = inspect(*bytes, file, Offer::of_server(), Scope::file_alone);
  for (const Json& library : described.value("libraries", Json::array())) {
    inspection.libraries.push_back({library.at(0), library.at(1).get<std::string>()});
  }
  for (const Json& library : described.value("beside", Json::array())) {
    inspection.libraries_beside.emplace_back(library.get<std::string>());
  }
  inspection.name = described.value("name", std::string());
  return Build{.file = file, .copy = copy, .inspection = std::move(inspection)};
}

Json describe(const Build& build, const std::string& name) {
  Json libraries = Json::array();
  for (const NeededLibrary& library : build.inspection.libraries) {
    libraries.push_back({library.name, library.file.string()});
  }
  Json beside = Json::array();
  for (const fs::path& library : build.inspection.libraries_beside) {
    beside.push_back(library.string());
  }
  return {
      {"copy", build.copy.string()}, {"name", name}, {"libraries", libraries}, {"beside", beside}};
}

core::Result<Build> copy_build(const Build& build, const fs::path& copy) {
  const auto bytes = read_module_file(build.copy);
  if (!bytes) return bytes.error();
  if (auto written = write_private_copy(copy, *bytes); !written) return written.error();
  const fs::path libraries = library_copy(build.copy, {}).parent_path();
  std::error_code error;
  if (!build.inspection.libraries_beside.empty()) {
    fs::copy(libraries, library_copy(copy, {}).parent_path(),
             fs::copy_options::recursive | fs::copy_options::copy_symlinks, error);
  }
  if (error) {
    return core::host_error(
        "host.private_copy",
        fmt::format("{}: the libraries of the app cannot be copied ({}); free space there",
                    libraries.string(), error.message()));
  }
  return Build{.file = build.file, .copy = copy, .inspection = build.inspection};
}

void remove_build(const Build& build) {
  std::error_code ignored;
  fs::remove(build.copy, ignored);
  fs::remove_all(library_copy(build.copy, {}).parent_path(), ignored);
}

}  // namespace sonicorn::app
