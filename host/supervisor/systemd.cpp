#include "supervisor/systemd.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <system_error>

#include "config/wording.hpp"
#include "core/log.hpp"

namespace sonicorn::supervisor {
namespace {

// The value of a variable, which is removed.
std::optional<std::string> take_variable(const char* name) {
  const char* const value = std::getenv(name);
  if (value == nullptr) return std::nullopt;
  std::string copy(value);
  ::unsetenv(name);
  return copy;
}

std::optional<std::uint64_t> number_from(std::string_view text) {
  std::uint64_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, failure] = std::from_chars(text.data(), end, number);
  if (failure != std::errc{} || stop != end) return std::nullopt;
  return number;
}

bool is_this_process(std::string_view text) {
  return number_from(text) == static_cast<std::uint64_t>(::getpid());
}

std::optional<std::chrono::microseconds> take_watchdog_interval() {
  const auto limit = take_variable("WATCHDOG_USEC");
  const auto process = take_variable("WATCHDOG_PID");
  if (!limit || (process && !is_this_process(*process))) return std::nullopt;
  // A day is longer than any that makes sense, and keeps the number in its type.
  constexpr std::uint64_t kLongest = 86'400'000'000;
  const auto microseconds = number_from(*limit);
  if (!microseconds || *microseconds == 0) {
    core::log::warning("WATCHDOG_USEC={}: it is no number of microseconds; nobody is pinged",
                       config::in_quotes(*limit));
    return std::nullopt;
  }
  return std::chrono::microseconds(std::min(*microseconds, kLongest) / 2);
}

// A status is one line of the message.
std::string status_line(std::string_view text) {
  std::string line = "STATUS=" + std::string(text);
  std::replace(line.begin(), line.end(), '\n', ' ');
  return line;
}

core::Error bad_activation(std::string_view what) {
  return core::host_error(
      "host.activation",
      fmt::format("{}; let the socket unit hand over listening TCP or Unix stream sockets only "
                  "(ListenStream=, Accept=no), or start the server without LISTEN_FDS",
                  what));
}

int option_of(int descriptor, int option) {
  int value = -1;
  socklen_t size = sizeof value;
  return ::getsockopt(descriptor, SOL_SOCKET, option, &value, &size) == 0 ? value : -1;
}

// Why the descriptor is nothing to serve on; empty: it is.
std::string fault_of(int descriptor) {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) return "is not open";
  if (!S_ISSOCK(status.st_mode)) return "is no socket";
  const int family = option_of(descriptor, SO_DOMAIN);
  if (family != AF_INET && family != AF_INET6 && family != AF_UNIX) {
    return "is neither a TCP nor a Unix socket";
  }
  if (option_of(descriptor, SO_TYPE) != SOCK_STREAM) return "is no stream socket";
  if (family != AF_UNIX && option_of(descriptor, SO_PROTOCOL) != IPPROTO_TCP) {
    return "is no TCP socket";
  }
  return option_of(descriptor, SO_ACCEPTCONN) == 1 ? "" : "does not listen";
}

// The name at that place of a list.
std::string name_at(std::string_view names, std::size_t index) {
  for (; index > 0; --index) names.remove_prefix(names.find(':') + 1);
  return std::string(names.substr(0, names.find(':')));
}

core::Result<void> take(int descriptor, const std::string& name) {
  const std::string which = name.empty() ? "" : fmt::format(" ({})", config::in_quotes(name));
  if (const std::string fault = fault_of(descriptor); !fault.empty()) {
    return bad_activation(fmt::format("descriptor {}{}, which the server was started with, {}",
                                      descriptor, which, fault));
  }
  const int flags = ::fcntl(descriptor, F_GETFL);
  if (flags < 0 || ::fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) != 0 ||
      ::fcntl(descriptor, F_SETFD, FD_CLOEXEC) != 0) {
    return bad_activation(fmt::format("descriptor {}{} cannot be set up ({})", descriptor, which,
                                      std::generic_category().message(errno)));
  }
  return {};
}

}  // namespace

Notifier Notifier::from_environment() {
  Notifier notifier;
  const auto address = take_variable("NOTIFY_SOCKET");
  const auto interval = take_watchdog_interval();
  if (!address || address->empty()) return notifier;
  if (notifier.connect(*address)) {
    notifier.interval_ = interval;
  } else {
    core::log::warning(
        "NOTIFY_SOCKET={}: nobody can be told there; it is to be /PATH or @NAME of a Unix socket",
        config::in_quotes(*address));
  }
  return notifier;
}

Notifier::Notifier(Notifier&& other) noexcept
    : socket_(std::exchange(other.socket_, -1)),
      address_(other.address_),
      address_size_(other.address_size_),
      interval_(std::exchange(other.interval_, std::nullopt)),
      is_failure_logged_(other.is_failure_logged_) {}

Notifier& Notifier::operator=(Notifier&& other) noexcept {
  std::swap(socket_, other.socket_);
  std::swap(address_, other.address_);
  std::swap(address_size_, other.address_size_);
  std::swap(interval_, other.interval_);
  std::swap(is_failure_logged_, other.is_failure_logged_);
  return *this;
}

Notifier::~Notifier() {
  if (socket_ >= 0) ::close(socket_);
}

bool Notifier::connect(std::string_view address) {
  const bool is_abstract = address.front() == '@';
  if ((!is_abstract && address.front() != '/') || address.size() < 2 ||
      address.size() >= sizeof address_.sun_path) {
    return false;
  }
  address_.sun_family = AF_UNIX;
  std::copy(address.begin(), address.end(), address_.sun_path);
  if (is_abstract) address_.sun_path[0] = '\0';
  // An abstract name ends where the address ends, a path with a NUL.
  address_size_ = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + address.size() +
                                         (is_abstract ? 0 : 1));
  // Not blocking: a manager that does not read must not stop the server.
  socket_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  return socket_ >= 0;
}

void Notifier::send(const std::string& message) {
  if (socket_ < 0) return;
  ssize_t sent = -1;
  do {
    sent = ::sendto(socket_, message.data(), message.size(), MSG_NOSIGNAL,
                    reinterpret_cast<const sockaddr*>(&address_), address_size_);
  } while (sent < 0 && errno == EINTR);
  if (sent >= 0 || std::exchange(is_failure_logged_, true)) return;
  core::log::warning("the service manager cannot be told {} ({})", config::in_quotes(message),
                     std::generic_category().message(errno));
}

void Notifier::ready(std::string_view status) { send("READY=1\n" + status_line(status)); }

void Notifier::reloading() {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  send(fmt::format("RELOADING=1\nMONOTONIC_USEC={}",
                   std::int64_t{now.tv_sec} * 1'000'000 + now.tv_nsec / 1000));
}

void Notifier::stopping() { send("STOPPING=1"); }

void Notifier::status(std::string_view text) { send(status_line(text)); }

void Notifier::ping() { send("WATCHDOG=1"); }

core::Result<std::vector<int>> activated_sockets(int first) {
  const auto process = take_variable("LISTEN_PID");
  const auto count = take_variable("LISTEN_FDS");
  const auto names = take_variable("LISTEN_FDNAMES");
  std::vector<int> sockets;
  if (!process || !count || !is_this_process(*process)) return sockets;

  constexpr std::uint64_t kMost = 1024;
  const auto number = number_from(*count);
  if (!number || *number > kMost) {
    return bad_activation(
        fmt::format("LISTEN_FDS={} is no number from 0 to {}", config::in_quotes(*count), kMost));
  }
  if (*number == 0) return sockets;
  const auto named =
      names ? static_cast<std::uint64_t>(std::count(names->begin(), names->end(), ':')) + 1 : 0;
  if (names && named != *number) {
    return bad_activation(
        fmt::format("LISTEN_FDS={} and LISTEN_FDNAMES={}, which names {}, are "
                    "not of one number",
                    *number, config::in_quotes(*names), named));
  }
  for (std::uint64_t index = 0; index < *number; ++index) {
    const int descriptor = first + static_cast<int>(index);
    const auto taken = take(descriptor, names ? name_at(*names, index) : "");
    if (!taken) return taken.error();
    sockets.push_back(descriptor);
  }
  return sockets;
}

}  // namespace sonicorn::supervisor
