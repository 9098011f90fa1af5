#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "core/result.hpp"

namespace sonicorn::config {

// Whether a path names a regular file (or a link to one). The reading functions ask through it, so
// that they also run where there is no file system to ask.
using IsFile = std::function<bool(const std::filesystem::path&)>;

// Asks the file system; false also for what may not be looked at.
bool is_file(const std::filesystem::path& path);

// The normal form of a mount: "/" or "/a/b". A slash at the end is dropped. Error:
// config.bad_mount.
core::Result<std::string> normal_mount(std::string_view text);

// The same for the path of health endpoints, which may not be "/".
core::Result<std::string> health_mount(std::string_view text);

// What one FILE argument of the command line says.
struct AppArgument {
  std::string mount;
  std::filesystem::path file;
};

// Reads "FILE" or "MOUNT=FILE". The latter begins with "/" and is not, as a whole, the name of a
// file. Does not ask whether FILE exists. Errors: config.bad_mount, config.bad_app.
core::Result<AppArgument> parse_app_argument(std::string_view text, const IsFile& exists = is_file);

}  // namespace sonicorn::config
