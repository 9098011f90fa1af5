#pragma once

#include <functional>
#include <string_view>

#include "http/epoll_set.hpp"
#include "http/loop.hpp"
#include "http/places.hpp"

namespace sonicorn::worker {

// Accepts connections from one listening socket for one loop. Past the limit of open connections,
// or out of descriptors, it makes room by closing idle ones, then has new ones wait for a place,
// then pauses; it never spins. Lives on the loop's thread.
class Acceptor final : public http::PollTarget {
 public:
  // `fd` is a non-blocking listening socket, which others may accept from too; it stays the
  // caller's. `shed_elsewhere` has another loop close an idle connection, and is false when none
  // has one. `hand_over` gives a new connection to another loop, which has fewer or, where there is
  // no room, may spare one; it is false when there is none.
  using HandOver = std::function<bool(int fd, std::string_view peer, http::Loop::Entry entry)>;
  Acceptor(http::Loop& loop, int fd, const http::Places& places,
           std::function<bool()> shed_elsewhere, HandOver hand_over);

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
  bool somebody_waits() const;
  void pause();

  http::Loop& loop_;
  int fd_;
  const http::Places& places_;
  std::function<bool()> shed_elsewhere_;
  HandOver hand_over_;
  bool paused_ = false;
  bool stopped_ = false;
};

}  // namespace sonicorn::worker
