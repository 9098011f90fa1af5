#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "app/attributes.hpp"
#include "app/capabilities.hpp"
#include "app/dependencies.hpp"
#include "app/manifest.hpp"
#include "app/module_file.hpp"

namespace sonicorn::app {

// Something that makes loading, reloading or unloading riskier, but is legal.
struct Hazard {
  std::string id;  // stable: "unique_symbols", "nodelete", "static_tls", "executable_stack",
                   // "undefined_symbols", "missing_library"
  std::string detail;
};

// What can be known of an app without running any of its code. A value.
struct Inspection {
  std::filesystem::path file;
  std::string name;  // the manifest's, else the file's without its extension
  std::string version;
  std::string description;
  std::string abi;       // "1.0"; empty when the file has no ABI mark
  std::string build_id;  // hexadecimal digits; empty when it has none

  AttributeSet attributes;
  std::vector<std::string> unknown_attributes;  // symbols: "sonicorn_shutdwon"

  std::vector<std::string> requires_;
  std::vector<std::string> uses;
  Threads threads = Threads::concurrent;
  bool blocking = true;
  Overlap overlap = Overlap::allowed;
  std::string state_schema;

  std::vector<Hazard> hazards;
  std::vector<std::string> warnings;  // each to be read after the file's name and a colon
  std::vector<std::string> reasons;   // why not to load it: whole sentences, each with its remedy

  // What the app brings into the process (Dependencies::libraries), and which of them Module::load
  // loads first, from copies (Dependencies::beside).
  std::vector<NeededLibrary> libraries;
  std::vector<std::filesystem::path> libraries_beside;

  bool loadable() const { return reasons.empty(); }
};

// What is looked at: the file alone, or also the libraries that it needs, which takes some
// milliseconds.
enum class Scope : std::uint8_t { with_libraries, file_alone };

// Inspects the bytes of `file`, which is used for its name and for what the app finds relative to
// it. `offer` is what the app may require. Runs no code of any file. Thread-safe.
Inspection inspect(std::string_view bytes, const std::filesystem::path& file, const Offer& offer,
                   Scope scope = Scope::with_libraries);

// One JSON object; what is not UTF-8 in the file or its name is replaced.
std::string to_json(const Inspection& inspection);

// For people, several lines; control characters that come from the file are escaped.
std::string to_text(const Inspection& inspection);

}  // namespace sonicorn::app
