#pragma once

#include <doctest/doctest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <chrono>
#include <csignal>

#include "process/child.hpp"

namespace sonicorn::process {

// What the supervisor does: a loop that hears of SIGCHLD and reaps.
struct Loop {
  boost::asio::io_context io{1};
  Children children;
  boost::asio::signal_set signals{io, SIGCHLD};

  Loop() { await_signal(); }

  // Until `is_done`; false when that takes longer than anything here may.
  template <class Predicate>
  bool run_until(Predicate is_done) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (!is_done()) {
      if (io.run_one_until(deadline) == 0) return false;
    }
    return true;
  }

 private:
  void await_signal() {
    signals.async_wait([this](boost::system::error_code error, int) {
      if (error) return;
      children.reap();
      await_signal();
    });
  }
};

}  // namespace sonicorn::process
