#pragma once

#include <sys/types.h>

#include <filesystem>
#include <utility>

#include "core/result.hpp"

namespace sonicorn::supervisor {

// A file with the id of this process, one line, for who is to send it signals. It is locked while
// this lives, so two servers never share one. Movable; its end removes the file, but only in the
// process that wrote it and only when it still is the same file. Where the folder may not be
// written to any more, the file is emptied instead.
class PidFile {
 public:
  // To be written before privileges are given up. A file that is there is taken over when it is
  // empty or names a process that is no more. Errors: host.pid_file_taken (the process it names
  // lives, or it holds something else), host.pid_file (it cannot be written).
  static core::Result<PidFile> write(const std::filesystem::path& path);

  PidFile(PidFile&& other) noexcept
      : file_(std::exchange(other.file_, -1)),
        path_(std::move(other.path_)),
        owner_(other.owner_) {}
  PidFile& operator=(PidFile&&) = delete;
  ~PidFile();

 private:
  PidFile(int file, std::filesystem::path path, pid_t owner)
      : file_(file), path_(std::move(path)), owner_(owner) {}

  int file_;
  std::filesystem::path path_;
  pid_t owner_;
};

}  // namespace sonicorn::supervisor
