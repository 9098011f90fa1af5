#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <utility>

#include "core/result.hpp"

namespace sonicorn::supervisor {

// The file of a journal: whole lines that are only ever added, each with one write(2), so that what
// was added is there after the process was killed. It does not outlive the loss of power: nothing
// is synchronised. Locked while it is open, so two servers never share one. For one thread.
class JournalFile {
 public:
  // Opens nothing. Beyond `most_bytes` the older half of the lines is dropped.
  JournalFile(std::filesystem::path path, std::uint64_t most_bytes)
      : path_(std::move(path)), most_bytes_(most_bytes) {}
  ~JournalFile() { close(); }
  JournalFile(const JournalFile&) = delete;
  JournalFile& operator=(const JournalFile&) = delete;

  const std::filesystem::path& path() const { return path_; }
  // Whether lines go to where the path led: no more when the file was removed.
  bool is_open() const;

  // Opens the file, or makes it, for this user alone. A last line that was not written to its end
  // is cut off. The result is the file's lines, only the newest `most_bytes` of a larger one.
  // Errors: host.journal (it cannot be had), host.journal_taken (another server has it, or it holds
  // something else).
  core::Result<std::string> open();

  // The lines of a file, whoever has it, and whether somebody does. Errors: host.journal (it cannot
  // be read), host.journal_taken (it holds something else).
  struct Lines {
    std::string text;
    bool taken = false;
  };
  core::Result<Lines> read() const;

  // Adds one line, which ends in LF. `carried` gives the lines that are put before those that stay,
  // which it is told, when older ones are dropped. Error: host.journal; then the file is as before.
  // REQUIRES: is_open().
  core::Result<void> append(std::string_view line,
                            const std::function<std::string(std::string_view stay)>& carried);

  void close();

 private:
  core::Result<void> take();
  core::Result<std::string> read_lines(int file) const;
  core::Result<void> drop_older(const std::function<std::string(std::string_view stay)>& carried);
  core::Result<void> cut_last_line();
  core::Error unwritable(int error) const;
  core::Error unreadable(int error) const;
  core::Error foreign() const;

  std::filesystem::path path_;
  std::uint64_t most_bytes_;
  int file_ = -1;
};

}  // namespace sonicorn::supervisor
