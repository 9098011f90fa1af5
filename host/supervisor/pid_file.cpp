#include "supervisor/pid_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <csignal>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>

namespace sonicorn::supervisor {
namespace {

core::Error unwritable(const std::filesystem::path& path, int error) {
  return core::host_error(
      "host.pid_file",
      fmt::format("{}: the PID file cannot be written ({}); name a file in a folder that is there "
                  "and that the user who starts the server may write to",
                  path.string(), std::generic_category().message(error)));
}

core::Error taken(const std::filesystem::path& path, pid_t process) {
  return core::host_error(
      "host.pid_file_taken",
      fmt::format("{}: this PID file belongs to process {}, which is running; stop that one first, "
                  "name another file, or remove this one if that is no server of yours",
                  path.string(), process));
}

core::Error foreign(const std::filesystem::path& path) {
  return core::host_error(
      "host.pid_file_taken",
      fmt::format("{}: this is to be the PID file, and it is there and holds something else; name "
                  "another file, or remove this one",
                  path.string()));
}

// Whether the name still stands for the file that is open.
bool is_same_file(int file, const std::filesystem::path& path) {
  struct stat opened {};
  struct stat named {};
  return ::fstat(file, &opened) == 0 && ::lstat(path.c_str(), &named) == 0 &&
         opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

// What the file names: 0 when it is empty, absent when it holds something else.
std::optional<pid_t> read_process(int file) {
  char buffer[32];
  const ssize_t got = ::pread(file, buffer, sizeof buffer, 0);
  if (got < 0) return std::nullopt;
  std::string_view text(buffer, static_cast<std::size_t>(got));
  if (text.ends_with('\n')) text.remove_suffix(1);
  if (text.empty()) return 0;
  pid_t process = 0;
  const auto [stop, failure] = std::from_chars(text.data(), text.data() + text.size(), process);
  if (failure != std::errc{} || stop != text.data() + text.size() || process <= 0) {
    return std::nullopt;
  }
  return process;
}

bool is_alive(pid_t process) { return ::kill(process, 0) == 0 || errno == EPERM; }

// Takes the locked file over.
core::Result<void> fill(int file, const std::filesystem::path& path) {
  struct stat status {};
  if (::fstat(file, &status) != 0) return unwritable(path, errno);
  if (!S_ISREG(status.st_mode)) return foreign(path);
  const auto process = read_process(file);
  if (!process) return foreign(path);
  // The first process of a container has the same id each time.
  if (*process != 0 && *process != ::getpid() && is_alive(*process)) return taken(path, *process);
  const std::string text = fmt::format("{}\n", ::getpid());
  if (::pwrite(file, text.data(), text.size(), 0) != static_cast<ssize_t>(text.size()) ||
      ::ftruncate(file, static_cast<off_t>(text.size())) != 0) {
    return unwritable(path, errno);
  }
  return {};
}

}  // namespace

core::Result<PidFile> PidFile::write(const std::filesystem::path& path) {
  for (;;) {
    // Not blocking: opening a FIFO would wait for its reader.
    const int file = ::open(
        path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0644);
    if (file < 0 && errno == ELOOP) return foreign(path);
    if (file < 0) return unwritable(path, errno);
    PidFile written(file, path, 0);
    if (::flock(file, LOCK_EX | LOCK_NB) != 0) {
      if (errno != EWOULDBLOCK) return unwritable(path, errno);
      return taken(path, read_process(file).value_or(0));
    }
    // Who had it may have removed it in between.
    if (!is_same_file(file, path)) continue;
    if (auto filled = fill(file, path); !filled) return filled.error();
    written.owner_ = ::getpid();
    return written;
  }
}

PidFile::~PidFile() {
  if (file_ < 0) return;
  const bool is_mine =
      owner_ == ::getpid() && is_same_file(file_, path_) && read_process(file_) == owner_;
  if (is_mine && ::unlink(path_.c_str()) != 0) {
    [[maybe_unused]] const int ignored = ::ftruncate(file_, 0);
  }
  ::close(file_);
}

}  // namespace sonicorn::supervisor
