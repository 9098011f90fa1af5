#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/result.hpp"

// What the server and systemd, or who speaks its protocols, have to say to each other: sd_notify(3)
// and sd_listen_fds(3), without its library. Both read the environment and remove from it what they
// have read, so that no child takes it as meant for itself; so they are called once, before there
// are other threads.
namespace sonicorn::supervisor {

// Tells the service manager how the server is. Says nothing when nobody asked to be told. What
// cannot be told is logged, once. Movable; for one thread.
class Notifier {
 public:
  // From NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID.
  static Notifier from_environment();

  // Nobody is told.
  Notifier() = default;
  Notifier(Notifier&& other) noexcept;
  Notifier& operator=(Notifier&& other) noexcept;
  ~Notifier();

  bool is_active() const { return socket_ >= 0; }

  // The server serves: at first, and again after reloading(). `status` is shown by systemctl.
  void ready(std::string_view status);
  // The configuration is read again; ready() must follow.
  void reloading();
  void stopping();
  void status(std::string_view text);

  // The server is alive. Is to be said at least every watchdog_interval().
  void ping();
  // Half of the time after which the manager would kill the server. Absent: it does not watch.
  std::optional<std::chrono::microseconds> watchdog_interval() const { return interval_; }

 private:
  bool connect(std::string_view address);
  void send(const std::string& message);

  int socket_ = -1;
  sockaddr_un address_{};
  socklen_t address_size_ = 0;
  std::optional<std::chrono::microseconds> interval_;
  bool is_failure_logged_ = false;
};

// The listening sockets that this process was started with, by LISTEN_PID, LISTEN_FDS and
// LISTEN_FDNAMES; none when those are absent or meant for another process. They are the caller's,
// closed on exec and non-blocking. The first is descriptor 3 by the protocol; tests say another.
// Error: host.activation, when the variables contradict themselves or a descriptor is no listening
// stream socket (TCP or Unix).
core::Result<std::vector<int>> activated_sockets(int first = 3);

}  // namespace sonicorn::supervisor
