#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>

#include "core/outlet.hpp"
#include "core/result.hpp"

namespace sonicorn::core {

// Writes whole lines, and never makes the writer of one wait. As long as there is room, a line is
// with the kernel when write() returns. What a stuck reader or a full disk does not take is kept up
// to a bound, and written by a thread of its own as soon as it is taken; beyond the bound lines are
// dropped and counted, until half of what is kept has gone. Thread-safe.
class LineWriter {
 public:
  // What is kept, in bytes.
  static constexpr std::size_t kMostKept = 256 * 1024;

  // Gives the line, with its LF, that tells the readers how many were dropped; an empty one is not
  // written. Called by whoever writes, who holds the writer's lock: it may not write to it.
  using Note = std::function<std::string(std::uint64_t lines)>;

  // Lines that are dropped are added to `dropped`, which outlives the writer.
  LineWriter(std::unique_ptr<Outlet> outlet, std::atomic<std::uint64_t>& dropped, Note note);
  // Drops what is still kept.
  ~LineWriter();
  LineWriter(const LineWriter&) = delete;
  LineWriter& operator=(const LineWriter&) = delete;

  // Each line with its LF.
  void write(std::string_view lines);

  // Writes to this file from now on. Error: host.log_file; then nothing has changed.
  Result<void> open(const std::filesystem::path& path);

  // The same, but when it cannot be opened now, lines are kept as for a full disk until it can be.
  // The error says why.
  Result<void> open_when_possible(const std::filesystem::path& path);

  // Opens the file at that path again, which is another one when the old was renamed; where none
  // was opened, does nothing. Error: host.log_file; then the old file is written to as before.
  Result<void> reopen();

  // Waits until nothing is kept, at most for `limit`; false: something is.
  bool flush(std::chrono::milliseconds limit);

  // Drops what is still kept, and has the readers told of all that was dropped since they were.
  void give_up();

 private:
  std::size_t put(std::string_view lines);
  void drain();
  void keep(std::string_view lines);
  void drop(std::string_view lines);
  void tell_dropped();
  void replace(std::unique_ptr<Outlet> outlet);
  void start_draining();
  void keep_draining();
  bool is_stuck() const { return untold_ > 0 && kept_.size() > kMostKept / 2; }

  std::atomic<std::uint64_t>& dropped_;
  const Note note_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::shared_ptr<Outlet> outlet_;
  std::filesystem::path path_;  // absolute; empty: the outlet is inherited
  std::string kept_;
  bool torn_ = false;         // kept_ begins with the rest of a line that was written in part
  std::uint64_t untold_ = 0;  // lines that were dropped since the readers were told
  bool draining_ = false;     // the thread is there
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace sonicorn::core
