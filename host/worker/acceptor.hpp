#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <functional>
#include <string_view>

#include "http/epoll_set.hpp"
#include "http/loop.hpp"

namespace sonicorn::worker {

// Accepts connections from one listening socket for one loop. Past the limit of open connections,
// or out of descriptors, it makes room by closing idle ones, then refuses, then pauses; it never
// spins. Lives on the loop's thread.
class Acceptor final : public http::PollTarget {
 public:
  // `fd` is a non-blocking listening socket, which others may accept from too; it stays the
  // caller's. `open` counts the connections of all loops, `most` is their limit. `shed_elsewhere`
  // has another loop close an idle connection, and is false when none has one. `hand_over` gives a
  // new connection to a loop that has fewer, and is false when none has.
  Acceptor(http::Loop& loop, int fd, const std::atomic<std::size_t>& open, std::size_t most,
           std::function<bool()> shed_elsewhere,
           std::function<bool(int fd, std::string_view peer)> hand_over);

  void on_ready(std::uint32_t events) override;
  void on_told() override;

  bool paused() const { return paused_; }
  // After a pause; call it with the loop's tick.
  void resume();

  // Accepts who waits, though nobody told of them here.
  void look() {
    if (!paused_ && !stopped_) on_told();
  }

  // Takes in who has connected already, then accepts nobody any more.
  void stop();

 private:
  bool accept_one();
  bool make_room();
  void pause();
  void warn(int error);

  http::Loop& loop_;
  int fd_;
  const std::atomic<std::size_t>& open_;
  std::size_t most_;
  std::function<bool()> shed_elsewhere_;
  std::function<bool(int, std::string_view)> hand_over_;
  std::chrono::steady_clock::time_point warned_;
  bool paused_ = false;
  bool stopped_ = false;
};

}  // namespace sonicorn::worker
