#pragma once

#include <filesystem>
#include <string>

#include "core/result.hpp"

namespace sonicorn::app {

// The whole content of the file of an app or of a library: a regular file of at most 1 GiB. The
// file is read, never mapped, so that nobody who overwrites it can harm the server. Errors:
// app.file_missing, app.file_unreadable, app.not_a_file, app.file_empty, app.file_too_large.
core::Result<std::string> read_module_file(const std::filesystem::path& path);

}  // namespace sonicorn::app
