#include "worker/listening_socket.hpp"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <memory>

namespace sonicorn::worker {
namespace {

constexpr int kBacklog = 4096;

core::Error bind_error(const std::string& what, int error) {
  std::string message = fmt::format("cannot listen on {}: {}", what, std::strerror(error));
  if (error == EADDRINUSE) {
    message += "; stop who uses it, or choose another address (--bind HOST:PORT, port 0 for any)";
  } else if (error == EACCES) {
    message += "; choose a port above 1023, or a folder you may write to";
  } else if (error == ENOENT || error == ENOTDIR) {
    message += "; make its folder first";
  } else if (error == ENAMETOOLONG) {
    message += "; a socket's path has at most 107 bytes";
  } else if (error == EADDRNOTAVAIL) {
    message += "; the address is not one of this machine's";
  }
  return core::host_error("host.bind", std::move(message));
}

std::string url_of(int fd, const std::string& host) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  unsigned port = 0;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0) {
    port = ntohs(address.ss_family == AF_INET6
                     ? reinterpret_cast<const sockaddr_in6&>(address).sin6_port
                     : reinterpret_cast<const sockaddr_in&>(address).sin_port);
  }
  if (host.find(':') != std::string::npos) return fmt::format("http://[{}]:{}", host, port);
  return fmt::format("http://{}:{}", host, port);
}

bool is_socket(const std::string& path) {
  struct stat status {};
  return ::lstat(path.c_str(), &status) == 0 && S_ISSOCK(status.st_mode);
}

// A socket file whose owner is gone refuses connections.
bool is_abandoned(const sockaddr_un& address) {
  const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (probe < 0) return false;
  const bool refused =
      ::connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0 &&
      errno == ECONNREFUSED;
  ::close(probe);
  return refused;
}

}  // namespace

std::string ListeningSocket::url_of_descriptor(int descriptor) {
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  if (::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size) != 0) return {};
  if (address.ss_family == AF_UNIX) {
    return fmt::format("unix:{}", reinterpret_cast<const sockaddr_un&>(address).sun_path);
  }
  std::array<char, NI_MAXHOST> host{};
  ::getnameinfo(reinterpret_cast<const sockaddr*>(&address), size, host.data(), host.size(),
                nullptr, 0, NI_NUMERICHOST);
  return url_of(descriptor, host.data());
}

core::Result<ListeningSocket> ListeningSocket::bind(const config::Bind& bind) {
  return bind.kind == config::Bind::Kind::tcp ? bind_tcp(bind) : bind_unix(bind);
}

core::Result<ListeningSocket> ListeningSocket::bind_tcp(const config::Bind& bind) {
  const std::string port = std::to_string(bind.port);
  const std::string what = fmt::format("{}:{}", bind.host, port);
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (const int error = ::getaddrinfo(bind.host.c_str(), port.c_str(), &hints, &found);
      error != 0) {
    return core::host_error("host.bind",
                            fmt::format("cannot listen on {}: {}; give an address of this machine, "
                                        "such as 127.0.0.1 or 0.0.0.0",
                                        what, ::gai_strerror(error)));
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> addresses(found, &::freeaddrinfo);

  int error = EADDRNOTAVAIL;
  for (const addrinfo* each = found; each != nullptr; each = each->ai_next) {
    const int fd = ::socket(each->ai_family, each->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
      error = errno;
      continue;
    }
    const int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    // Accepted sockets inherit it.
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (each->ai_family == AF_INET6) {
      ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    }
    if (::bind(fd, each->ai_addr, each->ai_addrlen) == 0) {
      return ListeningSocket(fd, url_of(fd, bind.host), {});
    }
    error = errno;
    ::close(fd);
  }
  return bind_error(what, error);
}

core::Result<ListeningSocket> ListeningSocket::bind_unix(const config::Bind& bind) {
  const std::string what = "unix:" + bind.path;
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (bind.path.size() >= sizeof(address.sun_path)) return bind_error(what, ENAMETOOLONG);
  std::memcpy(address.sun_path, bind.path.c_str(), bind.path.size() + 1);

  if (is_socket(bind.path) && is_abandoned(address)) ::unlink(bind.path.c_str());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return bind_error(what, errno);
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    const int error = errno;
    ::close(fd);
    return bind_error(what, error);
  }
  return ListeningSocket(fd, what, bind.path);
}

core::Result<void> ListeningSocket::listen() {
  if (adopted_) return {};
  if (::listen(fd_, kBacklog) != 0) return bind_error(url_, errno);
  return {};
}

ListeningSocket::~ListeningSocket() {
  // In this order: a successor may bind as soon as nobody listens.
  if (!path_.empty()) ::unlink(path_.c_str());
  if (fd_ >= 0) ::close(fd_);
}

void ListeningSocket::let_go() {
  if (const int fd = std::exchange(fd_, -1); fd >= 0) ::close(fd);
}

}  // namespace sonicorn::worker
