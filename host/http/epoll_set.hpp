#pragma once

#include <sys/epoll.h>

#include <array>
#include <cstdint>
#include <vector>

namespace sonicorn::http {

// What an EpollSet tells about a descriptor.
class PollTarget {
 public:
  virtual void on_ready(std::uint32_t events) = 0;

  // Called once all that was ready together has been told, if on_ready() asked for it by
  // EpollSet::tell_at_end().
  virtual void on_told() {}

 protected:
  ~PollTarget() = default;
};

// A level-triggered epoll set of the sockets of one I/O thread. Asio's reactor is edge-triggered
// and would ask for one more system call a request; it watches this set as a single descriptor
// instead. Not thread-safe.
class EpollSet {
 public:
  EpollSet();  // throws std::system_error
  ~EpollSet();
  EpollSet(const EpollSet&) = delete;
  EpollSet& operator=(const EpollSet&) = delete;

  int descriptor() const { return fd_; }

  // Watches `fd` for EPOLL... `events` until it is closed; false when the kernel refuses.
  bool add(int fd, std::uint32_t events, PollTarget& target);
  void change(int fd, std::uint32_t events, PollTarget& target);
  void remove(int fd);

  // Waits until something is ready, at most `milliseconds` (0: not at all), and returns how many
  // are.
  int wait(int milliseconds);
  // Tells the first `count` of them. A target that is told may close others, but not destroy them.
  void tell(int count);
  // For a target that is being told: has its on_told() called when the others have been told, too.
  void tell_at_end(PollTarget& target) { at_end_.push_back(&target); }

 private:
  static constexpr int kBatch = 256;

  int fd_;
  std::array<epoll_event, kBatch> events_;
  std::vector<PollTarget*> at_end_;
};

}  // namespace sonicorn::http
