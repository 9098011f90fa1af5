#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "core/error.hpp"

namespace sonicorn::config {

// What the command line says, still as text; an absent flag leaves what the file or the default
// says.
struct Flags {
  std::optional<std::filesystem::path> file;  // -c
  std::vector<std::string> apps;              // [MOUNT=]FILE, added to those of the file
  std::vector<std::string> binds;             // replace those of the file
  std::optional<std::string> threads;
  std::optional<std::string> blocking_threads;
  std::optional<std::string> grace;  // seconds
  std::optional<std::string> log_level;
  std::optional<std::string> log_format;
  std::optional<std::filesystem::path> log_file;
  std::optional<std::filesystem::path> access_log;  // "-": standard output
  std::optional<std::string> access_log_format;
  std::vector<std::string> without;  // added to those of the file
  std::optional<std::filesystem::path> admin;
  bool skip_broken = false;  // true switches it on, also against the file
};

// A configuration, and all that is wrong with it. With errors, `config` is not to be used.
struct Loaded {
  Config config;
  std::vector<core::Error> errors;
};

// Defaults, then the file, then the command line. Reads the file and asks whether the apps are
// there; opens none of them. Ids of errors: those of read_text, config.unreadable, config.no_app,
// config.bad_flag, config.bad_app, config.duplicate_bind.
Loaded load(const Flags& flags);

// The processors that this process may run on, at least 1 and at most what `threads` allows.
unsigned available_processors();

}  // namespace sonicorn::config
