#include "core/outlet.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <system_error>

namespace sonicorn::core {
namespace {

constexpr int kOpenFlags = O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY;
constexpr mode_t kMode = 0640;

bool has_room(int fd, int limit_ms) {
  pollfd room{fd, POLLOUT, 0};
  return ::poll(&room, 1, limit_ms) > 0;
}

// 0 where there is no such descriptor, which a write then tells.
mode_t mode_of(int fd) {
  struct stat found {};
  return ::fstat(fd, &found) == 0 ? found.st_mode : 0;
}

}  // namespace

Outlet::Outlet(int fd, Way way)
    : fd_(fd),
      way_(way),
      most_at_once_(S_ISREG(mode_of(fd)) ? 0 : static_cast<std::size_t>(PIPE_BUF)) {}

Outlet::~Outlet() {
  if (owned_) ::close(fd_);
}

Result<std::unique_ptr<Outlet>> Outlet::open(const std::filesystem::path& path) {
  const int fd = ::open(path.c_str(), kOpenFlags | O_APPEND | O_CREAT, kMode);
  if (fd < 0) {
    return host_error("host.log_file",
                      fmt::format("{} cannot be opened to write to: {}", path.string(),
                                  std::generic_category().message(errno)));
  }
  auto opened = std::make_unique<Outlet>(fd, Way::plain);
  opened->owned_ = true;
  return opened;
}

std::unique_ptr<Outlet> Outlet::open_later(std::filesystem::path path) {
  auto outlet = std::make_unique<Outlet>(-1, Way::later);
  outlet->path_ = std::move(path);
  return outlet;
}

Outlet::Way Outlet::way_for(int fd) {
  const mode_t mode = mode_of(fd);
  if (S_ISSOCK(mode)) return Way::send;
  return S_ISFIFO(mode) || S_ISCHR(mode) ? Way::no_wait : Way::plain;
}

ssize_t Outlet::write(std::string_view bytes) {
  if (way_ == Way::later && !open_now()) {
    errno = EAGAIN;
    return -1;
  }
  for (;;) {
    const ssize_t written = write_once(bytes);
    if (written >= 0) return written;
    if (errno == EOPNOTSUPP && way_ == Way::no_wait) {
      way_ = reopen() ? Way::reopened : Way::polled;
    } else if (errno != EINTR) {
      return written;
    }
  }
}

bool Outlet::take_back(std::size_t bytes) const {
  struct stat found {};
  if (!owned_ || way_ != Way::plain || ::fstat(fd_, &found) != 0 || !S_ISREG(found.st_mode)) {
    return false;
  }
  // Where what was written last ends; whatever is added ends up behind it.
  const off_t end = ::lseek(fd_, 0, SEEK_CUR);
  return found.st_size == end && ::ftruncate(fd_, end - static_cast<off_t>(bytes)) == 0;
}

ssize_t Outlet::write_once(std::string_view bytes) const {
  switch (way_) {
    case Way::plain:
    case Way::reopened:
    case Way::later:
      break;
    case Way::send:
      return ::send(fd_, bytes.data(), bytes.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    case Way::no_wait: {
      // NOLINTNEXTLINE(cppcoreguidelines-pro-type-const-cast): it is only read
      const iovec part{const_cast<char*>(bytes.data()), bytes.size()};
      return ::pwritev2(fd_, &part, 1, -1, RWF_NOWAIT);
    }
    case Way::polled:
      if (!has_room(fd_, 0)) {
        errno = EAGAIN;
        return -1;
      }
      bytes = bytes.substr(0, PIPE_BUF);
  }
  return ::write(fd_, bytes.data(), bytes.size());
}

bool Outlet::reopen() {
  const int fd = ::open(fmt::format("/proc/self/fd/{}", fd_).c_str(), kOpenFlags);
  if (fd < 0) return false;
  fd_ = fd;
  owned_ = true;
  return true;
}

bool Outlet::open_now() {
  fd_ = ::open(path_.c_str(), kOpenFlags | O_APPEND | O_CREAT, kMode);
  if (fd_ < 0) return false;
  way_ = Way::plain;
  most_at_once_ = S_ISREG(mode_of(fd_)) ? 0 : static_cast<std::size_t>(PIPE_BUF);
  owned_ = true;
  return true;
}

bool Outlet::wait(std::chrono::milliseconds limit) const {
  if (way_ == Way::later) return true;  // there is nothing to wait for
  return has_room(fd_, static_cast<int>(limit.count()));
}

}  // namespace sonicorn::core
