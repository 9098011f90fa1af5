#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/result.hpp"

namespace sonicorn::app {

// One Sonicorn note of a file (sonicorn/manifest.h), not yet interpreted. A view into the file's
// bytes.
struct ManifestNote {
  std::uint32_t abi_major = 0;
  std::uint32_t abi_minor = 0;
  std::string_view json;  // without the zero bytes that pad it; empty for a bare ABI mark

  // Error: app.bad_manifest, when the note is too small to hold an ABI version.
  static core::Result<ManifestNote> decode(std::string_view content);
};

enum class Threads : std::uint8_t {
  concurrent,
  serial,  // never two calls at once
};

enum class Overlap : std::uint8_t {
  allowed,
  exclusive,  // never two generations at once
};

std::string_view name_of(Threads threads);
std::string_view name_of(Overlap overlap);

// What an app says of itself, every default filled in but the name, which is empty where none is
// given.
struct Manifest {
  std::uint32_t abi_major = 0;
  std::uint32_t abi_minor = 0;
  std::string name;
  std::string version;
  std::string description;
  std::vector<std::string> requires_;  // capability ids
  std::vector<std::string> uses;       // capability ids
  Threads threads = Threads::concurrent;
  bool blocking = true;
  Overlap overlap = Overlap::allowed;
  std::string state_schema;
  std::vector<std::string> warnings;  // sentences: keys that this server does not know
};

// Reads and merges the notes of one file. The ABI minor is the newest of them.
// REQUIRES: at least one note, and all of one ABI major.
// Error: app.bad_manifest; its message names the key and what is allowed.
core::Result<Manifest> parse_manifest(std::span<const ManifestNote> notes);

}  // namespace sonicorn::app
