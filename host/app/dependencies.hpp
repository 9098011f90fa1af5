#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "app/elf_image.hpp"

namespace sonicorn::app {

struct NeededLibrary {
  std::string name;            // as DT_NEEDED says it
  std::filesystem::path file;  // what the loader finds under that name
};

// What a shared object needs from others, found out as the dynamic loader would, without running
// code.
struct Dependencies {
  struct Missing {
    std::string library;  // as DT_NEEDED names it
    std::string needed_by;
    bool lacks_soname = false;  // found through $ORIGIN, but nameless: see beside
  };

  // A version of a library that the file found under its name does not have.
  struct MissingVersion {
    std::string version;
    std::string library;
    std::filesystem::path file;
    std::string needed_by;
  };

  std::vector<Missing> missing;
  std::vector<MissingVersion> missing_versions;

  // What the object brings into the process: all found libraries that the server does not need.
  std::vector<NeededLibrary> libraries;

  // Those of them that were found through the $ORIGIN of the app, or of one of these libraries. A
  // private copy lies in another folder, so copies of these are loaded by their path before it, and
  // the loader then knows them by their DT_SONAME.
  std::vector<std::filesystem::path> beside;

  // Names of strong undefined symbols that neither these libraries nor the running server defines.
  std::vector<std::string> undefined;
};

// `file` is where the object lies (for $ORIGIN). Reads RPATH, RUNPATH, LD_LIBRARY_PATH, LD_PRELOAD,
// /etc/ld.so.conf and the default folders afresh at each call. Thread-safe.
Dependencies find_dependencies(const ElfImage& object, const std::filesystem::path& file);

}  // namespace sonicorn::app
