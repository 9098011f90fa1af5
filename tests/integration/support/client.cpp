#include "support/client.hpp"

#include <linux/sockios.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sched.h>
#include <strings.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>
#include <system_error>

namespace support {
namespace {

using Clock = std::chrono::steady_clock;

bool wait_on(int fd, short events, std::chrono::milliseconds limit) {
  pollfd waited{fd, events, 0};
  return ::poll(&waited, 1, static_cast<int>(limit.count())) > 0;
}

void set_option(int fd, int level, int option, int value) {
  if (::setsockopt(fd, level, option, &value, sizeof value) != 0) {
    throw std::system_error(errno, std::generic_category(), "setsockopt");
  }
}

int connect_unix(const std::filesystem::path& path, int receive_buffer) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.string().size() >= sizeof address.sun_path)
    throw std::runtime_error("socket path too long");
  std::strcpy(address.sun_path, path.c_str());
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (receive_buffer != 0) set_option(fd, SOL_SOCKET, SO_RCVBUF, receive_buffer);
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    const int error = errno;
    ::close(fd);
    throw std::system_error(error, std::generic_category(), path);
  }
  return fd;
}

int connect_tcp(const Endpoint& endpoint, int receive_buffer) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  addrinfo* found = nullptr;
  if (::getaddrinfo(endpoint.host.c_str(), endpoint.port.c_str(), &hints, &found) != 0) {
    throw std::runtime_error("no address: " + endpoint.host + ":" + endpoint.port);
  }
  const int fd = ::socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (receive_buffer != 0) set_option(fd, SOL_SOCKET, SO_RCVBUF, receive_buffer);
  const int result = ::connect(fd, found->ai_addr, found->ai_addrlen);
  const int error = errno;
  ::freeaddrinfo(found);
  if (result != 0) {
    ::close(fd);
    throw std::system_error(error, std::generic_category(), endpoint.host + ":" + endpoint.port);
  }
  set_option(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  return fd;
}

bool equal_names(std::string_view a, std::string_view b) {
  return a.size() == b.size() && ::strncasecmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace

std::string Response::field(std::string_view name) const {
  const auto named = [name](const auto& field) { return equal_names(field.first, name); };
  const auto found = std::find_if(fields.begin(), fields.end(), named);
  if (found == fields.end()) return {};
  if (std::count_if(fields.begin(), fields.end(), named) > 1) {
    throw std::runtime_error("several fields named " + std::string(name));
  }
  return found->second;
}

bool Response::has(std::string_view name) const {
  return std::any_of(fields.begin(), fields.end(),
                     [name](const auto& field) { return equal_names(field.first, name); });
}

std::string get(std::string_view target, std::string_view lines) {
  return "GET " + std::string(target) + " HTTP/1.1\r\nHost: test\r\n" + std::string(lines) + "\r\n";
}

std::string post(std::string_view target, std::string_view body, std::string_view lines) {
  return "POST " + std::string(target) +
         " HTTP/1.1\r\nHost: test\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
         std::string(lines) + "\r\n" + std::string(body);
}

Client::Client(const Endpoint& endpoint, int receive_buffer)
    : fd_(endpoint.host.empty() ? connect_unix(endpoint.path, receive_buffer)
                                : connect_tcp(endpoint, receive_buffer)) {}

Client::~Client() {
  if (fd_ >= 0) ::close(fd_);
}

Client::Client(Client&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      interim_(other.interim_),
      limit_(other.limit_),
      buffer_(std::move(other.buffer_)) {}

bool Client::send(std::string_view bytes) {
  while (!bytes.empty()) {
    if (!wait_on(fd_, POLLOUT, limit_)) throw std::runtime_error("the server takes no bytes");
    const ssize_t count = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count > 0) {
      bytes.remove_prefix(static_cast<std::size_t>(count));
    } else if (errno == EPIPE || errno == ECONNRESET) {
      return false;
    } else if (errno != EAGAIN && errno != EINTR) {
      throw std::system_error(errno, std::generic_category(), "send");
    }
  }
  return true;
}

std::size_t Client::send_some(std::string_view bytes) {
  const ssize_t count = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  if (count < 0 && errno != EAGAIN) throw std::system_error(errno, std::generic_category(), "send");
  return count > 0 ? static_cast<std::size_t>(count) : 0;
}

bool Client::writable(std::chrono::milliseconds limit) { return wait_on(fd_, POLLOUT, limit); }

bool Client::send_pieces(const std::vector<std::string_view>& pieces) {
  for (std::size_t i = 0; i < pieces.size(); ++i) {
    if (!send(pieces[i])) return false;
    if (i + 1 < pieces.size() && !taken_by_server()) return false;
  }
  return true;
}

// A Unix socket counts the bytes that its peer has not read yet. False when the peer speaks or is
// gone.
bool Client::taken_by_server() {
  const auto deadline = Clock::now() + limit_;
  for (;;) {
    if (wait_on(fd_, POLLRDHUP, std::chrono::milliseconds(0))) return false;
    int unread = 0;
    if (::ioctl(fd_, SIOCOUTQ, &unread) != 0) {
      throw std::system_error(errno, std::generic_category(), "SIOCOUTQ");
    }
    if (unread == 0) return true;
    if (Clock::now() > deadline) throw std::runtime_error("the server does not read");
    ::sched_yield();
  }
}

bool Client::readable(std::chrono::milliseconds limit) { return wait_on(fd_, POLLIN, limit); }

// False at the end of the stream.
bool Client::fill() {
  if (!readable(limit_)) {
    throw std::runtime_error("nothing came in time; so far: \"" + buffer_.substr(0, 200) + "\"");
  }
  char bytes[64 * 1024];
  const ssize_t count = ::recv(fd_, bytes, sizeof bytes, 0);
  if (count > 0) buffer_.append(bytes, static_cast<std::size_t>(count));
  if (count < 0 && errno != ECONNRESET && errno != EINTR) {
    throw std::system_error(errno, std::generic_category(), "recv");
  }
  return count > 0 || (count < 0 && errno == EINTR);
}

std::string Client::take(std::size_t size) {
  while (buffer_.size() < size) {
    if (!fill()) {
      throw std::runtime_error("closed after " + std::to_string(buffer_.size()) + " of " +
                               std::to_string(size) + " bytes");
    }
  }
  std::string taken = buffer_.substr(0, size);
  buffer_.erase(0, size);
  return taken;
}

std::string Client::take_line() {
  std::size_t end = 0;
  while ((end = buffer_.find("\r\n")) == std::string::npos) {
    if (!fill()) throw std::runtime_error("closed within an answer: \"" + buffer_ + "\"");
  }
  return take(end + 2).substr(0, end);
}

std::string Client::take_chunked() {
  std::string body;
  for (;;) {
    const std::size_t size = std::stoul(take_line(), nullptr, 16);
    if (size == 0) break;
    body += take(size);
    if (take(2) != "\r\n") throw std::runtime_error("a chunk without its end");
  }
  while (!take_line().empty()) continue;
  return body;
}

Response Client::read_head() {
  Response response;
  const std::string line = take_line();
  if (line.size() < 13 || !line.starts_with("HTTP/1.") || line[8] != ' ' || line[12] != ' ') {
    throw std::runtime_error("not a status line: \"" + line + "\"");
  }
  response.version = line.substr(0, 8);
  response.status = std::stoi(line.substr(9, 3));
  for (;;) {
    const std::string text = take_line();
    if (text.empty()) return response;
    const std::size_t colon = text.find(':');
    if (colon == std::string::npos || colon == 0 || text.find_first_of(" \t") < colon ||
        text.find_first_of("\r\n") != std::string::npos) {
      throw std::runtime_error("not a field: \"" + text + "\"");
    }
    const std::size_t begin = text.find_first_not_of(" \t", colon + 1);
    response.fields.emplace_back(text.substr(0, colon),
                                 begin == std::string::npos ? "" : text.substr(begin));
  }
}

int Client::read_interim() {
  const Response response = read_head();
  if (response.status >= 200) throw std::runtime_error("not an interim answer");
  return response.status;
}

Response Client::read_response(bool to_head) {
  Response response = read_head();
  while (response.status < 200) {
    ++interim_;
    response = read_head();
  }
  if (to_head || response.status == 204 || response.status == 304) return response;
  if (response.has("Transfer-Encoding")) {
    response.body = take_chunked();
  } else if (response.has("Content-Length")) {
    response.body = take(std::stoul(response.field("Content-Length")));
  } else {
    response.body = read_to_end();
  }
  return response;
}

bool Client::at_end() { return buffer_.empty() && !fill(); }

std::vector<Response> Client::read_responses(bool first_to_head) {
  std::vector<Response> responses;
  while (!at_end()) responses.push_back(read_response(first_to_head && responses.empty()));
  return responses;
}

Response Client::ask(std::string_view request, bool to_head) {
  send(request);
  return read_response(to_head);
}

std::string Client::read_to_end() {
  const auto deadline = Clock::now() + limit_;
  do {
    if (Clock::now() > deadline) throw std::runtime_error("the server does not close");
  } while (fill());
  return std::exchange(buffer_, {});
}

bool Client::closes() { return buffer_.empty() && readable(limit_) && !fill(); }

void Client::shut_down_sending() { ::shutdown(fd_, SHUT_WR); }

void Client::reset() {
  const linger at_once{1, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  ::close(std::exchange(fd_, -1));
}

Response ask(const Endpoint& endpoint, std::string_view request, bool to_head) {
  return Client(endpoint).ask(request, to_head);
}

}  // namespace support
