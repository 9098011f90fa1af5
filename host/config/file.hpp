#pragma once

#include <filesystem>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "config/mount.hpp"
#include "core/error.hpp"

namespace sonicorn::config {

// Reads the text of a TOML file into `config`: what it says replaces what was there, its apps and
// binds are added. `file` is its name, for messages and as the origin of relative paths; it is not
// opened. Whether the apps it names are there is asked of `exists`.
//
// Returns all that is wrong, in the order of the text, each as "FILE:LINE:COLUMN: what is wrong;
// what is allowed", empty when nothing is; with errors, `config` is not to be used. Ids:
// config.syntax (then nothing else was looked at), config.unknown_key, config.missing_key,
// config.wrong_type, config.out_of_range, config.bad_bind, config.bad_mount, config.bad_name,
// config.bad_settings, config.duplicate_app, config.missing_file.
std::vector<core::Error> read_text(std::string_view text, const std::filesystem::path& file,
                                   const IsFile& exists, Config& config);

}  // namespace sonicorn::config
