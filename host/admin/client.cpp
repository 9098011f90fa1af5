#include "admin/client.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <string_view>

// One question and one answer, and the end of the connection is the end of the answer: too little
// for a library of HTTP, which takes a minute to compile.
namespace sonicorn::admin {
namespace {

core::Error failure(const std::filesystem::path& control, std::string_view what) {
  return core::host_error(
      "host.admin",
      fmt::format("{}: {}; does the server still run? ('sonicorn serve --control PATH' names its "
                  "socket)",
                  control.string(), what));
}

// A connection, closed when it goes out of scope.
class Connection {
 public:
  Connection() : fd_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {}
  ~Connection() {
    if (fd_ >= 0) ::close(fd_);
  }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  bool connect(const std::string& path) const {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
    return ::connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  }

  bool send(std::string_view bytes) const {
    while (!bytes.empty()) {
      const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR) continue;
      if (sent < 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
    }
    return true;
  }

  bool read_to_end(std::string& into) const {
    std::array<char, 16 * 1024> piece;
    for (;;) {
      const ssize_t got = ::recv(fd_, piece.data(), piece.size(), 0);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return got == 0;
      into.append(piece.data(), static_cast<std::size_t>(got));
    }
  }

 private:
  int fd_;
};

}  // namespace

core::Result<Reply> ask_server(const std::filesystem::path& control, const std::string& method,
                               const std::string& target) {
  if (control.native().size() >= sizeof(sockaddr_un::sun_path)) {
    return failure(control, "the path is too long for a socket");
  }
  const Connection connection;
  if (!connection.connect(control.native()) ||
      !connection.send(fmt::format("{} {} HTTP/1.1\r\nHost: sonicorn\r\nConnection: close\r\n"
                                   "Content-Length: 0\r\n\r\n",
                                   method, target))) {
    return failure(control, std::strerror(errno));
  }
  std::string answer;
  if (!connection.read_to_end(answer)) return failure(control, std::strerror(errno));
  constexpr std::string_view kVersion = "HTTP/1.1 ";
  constexpr std::string_view kHeadEnd = "\r\n\r\n";
  const std::size_t head = answer.find(kHeadEnd);
  Reply reply;
  const char* const digits = answer.data() + kVersion.size();
  if (head == std::string::npos || !answer.starts_with(kVersion) ||
      std::from_chars(digits, digits + 3, reply.status).ec != std::errc()) {
    return failure(control, answer.empty() ? "who listens there gave no answer"
                                           : "who listens there is no server of this kind");
  }
  reply.body = answer.substr(head + kHeadEnd.size());
  return reply;
}

}  // namespace sonicorn::admin
