#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "core/result.hpp"

namespace sonicorn::app {

// Whose files are read.
enum class Owners : std::uint8_t {
  any,
  // Those that nobody but root and this process's user may change: the file, and the folder that it
  // lies in after links were followed, belong to one of them, and neither the group nor others may
  // write to them (also not where the sticky bit restrains them, as in /tmp).
  trusted,
};

// The whole content of the file of an app or of a library: a regular file of at most 1 GiB. The
// file is read, never mapped, so that nobody who overwrites it can harm the server. What is checked
// is what was opened, not what has the name by then. Errors: app.file_missing, app.file_unreadable,
// app.not_a_file, app.file_empty, app.file_too_large, app.untrusted_file, app.untrusted_folder.
core::Result<std::string> read_module_file(const std::filesystem::path& path,
                                           Owners owners = Owners::any);

// Whether the library, which the loader will load from where it is, is to be trusted as the file of
// an app is; one in the system's folders (/usr, /lib) is. Errors: as above.
core::Result<void> check_library(const std::filesystem::path& path);

}  // namespace sonicorn::app
