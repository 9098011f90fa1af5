#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.hpp"
#include "core/error.hpp"
#include "core/result.hpp"

namespace sonicorn::config {

// What the command line says, still as text; an absent flag leaves what the file or the default
// says.
struct Flags {
  std::optional<std::filesystem::path> file;  // -c
  std::vector<std::string> apps;              // [MOUNT=]FILE, added to those of the file
  std::vector<std::string> binds;             // replace those of the file
  std::optional<std::string> workers;
  std::optional<std::string> threads;
  std::optional<std::string> blocking_threads;
  std::optional<std::string> grace;  // seconds
  std::optional<std::string> log_level;
  std::optional<std::string> log_format;
  std::optional<std::filesystem::path> log_file;
  std::optional<std::filesystem::path> access_log;  // "-": standard output
  std::optional<std::string> access_log_format;
  std::vector<std::string> without;  // added to those of the file
  std::optional<std::filesystem::path> control;
  std::optional<std::string> health;
  std::optional<std::string> health_path;
  std::optional<std::string> user;
  std::optional<std::string> group;
  std::optional<std::filesystem::path> pid_file;
  std::optional<std::filesystem::path> journal;
  std::optional<bool> check_owners;
  bool skip_broken = false;  // true switches it on, also against the file
  bool reload = false;       // the same of Reload::automatic
};

// A configuration, and all that is wrong with it. With errors, `config` is not to be used.
struct Loaded {
  Config config;
  std::vector<core::Error> errors;
};

// Defaults (check_owners: whether this process is root's), then the file, then the command line.
// Reads the file and asks whether the apps are there; opens none of them. Ids of errors: those of
// read_text, config.unreadable, config.no_app, config.bad_flag, config.bad_app,
// config.duplicate_bind.
Loaded load(const Flags& flags);

// The same with `text` in place of what the file has now.
Loaded load(const Flags& flags, const std::string& text);

// The text of the file that the flags name; empty without one. Errors: config.unreadable.
core::Result<std::string> read_file(const Flags& flags);

// Flags as a JSON object, for another process, and back.
std::string to_json(const Flags& flags);
Flags flags_from_json(std::string_view json);

// The processors that this process may run on, at least 1 and at most what `threads` allows.
unsigned available_processors();

}  // namespace sonicorn::config
