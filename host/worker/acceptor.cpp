#include "worker/acceptor.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <string_view>
#include <system_error>
#include <utility>

#include "core/log.hpp"

namespace sonicorn::worker {
namespace {

// Few at a time, so that the other threads get theirs.
constexpr int kBatch = 4;
std::string_view write_peer(const sockaddr_storage& address,
                            std::array<char, INET6_ADDRSTRLEN>& out) {
  const char* written = nullptr;
  if (address.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
    written = ::inet_ntop(AF_INET, &v4.sin_addr, out.data(), INET6_ADDRSTRLEN);
  } else if (address.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    written = ::inet_ntop(AF_INET6, &v6.sin6_addr, out.data(), INET6_ADDRSTRLEN);
  }
  return written != nullptr ? std::string_view(written) : std::string_view("unix");
}

// At most once a second, whichever thread it is: who cannot accept now could not a moment ago.
void warn(int error) {
  using Clock = std::chrono::steady_clock;
  static std::atomic<Clock::rep> warned{Clock::rep{}};
  const Clock::rep now = Clock::now().time_since_epoch().count();
  Clock::rep last = warned.load();
  const Clock::rep second = Clock::duration(std::chrono::seconds(1)).count();
  if ((last != 0 && now - last < second) || !warned.compare_exchange_strong(last, now)) return;
  core::log::warning(
      "cannot accept connections for a moment: {}; raise the limit of descriptors "
      "(ulimit -n)",
      std::strerror(error));
}

}  // namespace

Acceptor::Acceptor(http::Loop& loop, int fd, const http::Places& places,
                   std::function<bool()> shed_elsewhere, HandOver hand_over)
    : loop_(loop),
      fd_(fd),
      places_(places),
      shed_elsewhere_(std::move(shed_elsewhere)),
      hand_over_(std::move(hand_over)) {
  if (!loop_.sockets().add(fd_, EPOLLIN | EPOLLEXCLUSIVE, *this)) {
    throw std::system_error(errno, std::generic_category(), "watching a listening socket");
  }
}

// Requests that came together with somebody new are served first: who waits for an answer cannot be
// shed, and the new one would be refused although others are idle in a moment.
void Acceptor::on_ready(std::uint32_t) { loop_.sockets().tell_at_end(*this); }

void Acceptor::on_told() {
  for (int i = 0; i < kBatch && !paused_ && !stopped_; ++i) {
    if (!accept_one()) return;
  }
}

bool Acceptor::accept_one() {
  // Beyond those who wait for a place, or have been refused one, the kernel queues.
  if (places_.is_full()) {
    if (!somebody_waits()) return false;
    if (!loop_.shed_extra(stopped_)) {
      pause();
      return false;
    }
  }
  sockaddr_storage address{};
  socklen_t size = sizeof(address);
  int fd =
      ::accept4(fd_, reinterpret_cast<sockaddr*>(&address), &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd < 0) {
    const int error = errno;
    if (error == EINTR || error == ECONNABORTED || error == EPROTO) return true;
    if (error == EAGAIN) return false;
    if (loop_.shed_idle()) return true;
    if (!shed_elsewhere_()) warn(error);
    pause();
    return false;
  }
  // An app has closed a standard descriptor: what it prints must not go to a client.
  if (fd <= STDERR_FILENO) {
    const int moved = ::fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    const int nowhere = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    ::dup2(nowhere, fd);
    if (nowhere >= 0) ::close(nowhere);
    if (moved < 0) return true;
    fd = moved;
  }
  std::array<char, INET6_ADDRSTRLEN> text;
  const std::string_view peer = write_peer(address, text);
  using Entry = http::Loop::Entry;
  const bool is_next = !loop_.has_queued();
  if (is_next && places_.has_vacant()) {
    if (!hand_over_(fd, peer, Entry::free)) loop_.adopt(fd, peer);
  } else if (is_next && loop_.shed_idle()) {
    loop_.adopt(fd, peer);
  } else if (!is_next || !hand_over_(fd, peer, Entry::exchange)) {
    loop_.queue(fd, peer);
  }
  return true;
}

bool Acceptor::somebody_waits() const {
  pollfd waiting{fd_, POLLIN, 0};
  return ::poll(&waiting, 1, 0) > 0;
}

void Acceptor::pause() {
  loop_.sockets().remove(fd_);
  paused_ = true;
}

void Acceptor::resume() {
  if (!paused_ || stopped_) return;
  paused_ = !loop_.sockets().add(fd_, EPOLLIN | EPOLLEXCLUSIVE, *this);
}

void Acceptor::stop() {
  stopped_ = true;
  // As many as can have waited: who connects meanwhile does not hold up the stop.
  for (int i = 0; i < SOMAXCONN && accept_one(); ++i) {
  }
  if (!paused_) loop_.sockets().remove(fd_);
  paused_ = false;
}

}  // namespace sonicorn::worker
