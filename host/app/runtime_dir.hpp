#pragma once

#include <filesystem>

#include "core/result.hpp"

namespace sonicorn::app {

// A private folder (0700) for the copies of apps that this process loads. It is locked while it
// lives and removed with all it holds at the end; what a killed process left behind, the next one
// removes. Movable; not thread-safe.
class RuntimeDir {
 public:
  // Makes the folder in `parent`; empty: $TMPDIR, else /tmp.
  // Errors: host.runtime_dir, when the folder cannot be made or code cannot be mapped from it.
  static core::Result<RuntimeDir> create(const std::filesystem::path& parent);

  RuntimeDir(RuntimeDir&& other) noexcept;
  RuntimeDir& operator=(RuntimeDir&& other) noexcept;
  ~RuntimeDir();

  const std::filesystem::path& path() const { return path_; }

 private:
  RuntimeDir(std::filesystem::path path, int lock);
  void remove() noexcept;

  std::filesystem::path path_;
  int lock_;  // an open descriptor of the folder that holds flock(2); -1 when moved from
};

}  // namespace sonicorn::app
