#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>

#include "core/result.hpp"

namespace sonicorn::core {

// A descriptor that is written to without ever waiting for whoever reads it. O_NONBLOCK would be
// simple, but it belongs to the open file, and standard error is the shell's and the children's,
// too. Not thread-safe, but for wait().
class Outlet {
 public:
  // How a write is kept from waiting.
  enum class Way : std::uint8_t {
    plain,     // write(2): a file on a disk, or an open file of our own
    send,      // MSG_DONTWAIT: a socket
    no_wait,   // RWF_NOWAIT, which pipes have since Linux 6.5
    reopened,  // an open file of our own, by way of /proc
    later,     // a file that could not be opened yet: each write tries
    polled,    // asked first; several processes on one pipe that is all but full may fool it
  };

  // An inherited descriptor, which stays its owner's.
  explicit Outlet(int fd) : Outlet(fd, way_for(fd)) {}
  // The same in a way that is not the best for it.
  Outlet(int fd, Way way);
  ~Outlet();
  Outlet(const Outlet&) = delete;
  Outlet& operator=(const Outlet&) = delete;

  // The file at `path`, to which lines are added; it is made (mode 0640) when it is not there.
  // Error: host.log_file, whose message begins with the path.
  static Result<std::unique_ptr<Outlet>> open(const std::filesystem::path& path);

  // The same, with EAGAIN from every write until it can be opened.
  static std::unique_ptr<Outlet> open_later(std::filesystem::path path);

  // As write(2), with EAGAIN where that would wait.
  ssize_t write(std::string_view bytes);

  // Takes the last `bytes` of what was written out of the file again, so that what others add does
  // not continue a line of ours. False where that cannot be: it is not a file on a disk that this
  // outlet opened, or another process has added something since.
  bool take_back(std::size_t bytes) const;

  // What is written at once and whole, or not at all, though others write there, too; 0: any
  // number of bytes.
  std::size_t most_at_once() const { return most_at_once_; }

  // Waits until there may be room, at most for `limit`; false: there is none yet.
  bool wait(std::chrono::milliseconds limit) const;

 private:
  static Way way_for(int fd);
  ssize_t write_once(std::string_view bytes) const;
  bool reopen();
  bool open_now();

  int fd_;
  Way way_;
  std::size_t most_at_once_;
  bool owned_ = false;
  std::filesystem::path path_;  // to be opened later
};

}  // namespace sonicorn::core
