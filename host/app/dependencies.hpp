#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "app/elf_image.hpp"

namespace sonicorn::app {

// What a shared object needs from others, found out as the dynamic loader would, without running
// code.
struct Dependencies {
  struct Missing {
    std::string library;  // as DT_NEEDED names it
    std::string needed_by;
    bool lacks_soname = false;  // found through $ORIGIN, but nameless: see beside
  };

  std::vector<Missing> missing;

  // Libraries found through the app's own $ORIGIN. A private copy lies in another folder, so these
  // are loaded by their path before it, and the loader then knows them by their DT_SONAME.
  std::vector<std::filesystem::path> beside;

  // Names of strong undefined symbols that neither these libraries nor the running server defines.
  std::vector<std::string> undefined;
};

// `file` is where the object lies (for $ORIGIN). Reads RPATH, RUNPATH, LD_LIBRARY_PATH, LD_PRELOAD,
// /etc/ld.so.conf and the default folders afresh at each call. Thread-safe.
Dependencies find_dependencies(const ElfImage& object, const std::filesystem::path& file);

}  // namespace sonicorn::app
