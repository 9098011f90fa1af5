#pragma once

#include <atomic>
#include <cstddef>

namespace sonicorn::http {

// How many connections all loops of a process have together, and may have. Thread-safe.
struct Places {
  std::atomic<std::size_t> open{0};   // in all
  std::atomic<std::size_t> extra{0};  // of them: wait for a place, or have been refused one
  std::size_t most = 0;               // but for the extra ones
  std::size_t most_extra = 0;

  bool has_vacant() const {
    return open.load(std::memory_order_relaxed) < most + extra.load(std::memory_order_relaxed);
  }
  bool is_full() const { return open.load(std::memory_order_relaxed) >= most + most_extra; }
};

}  // namespace sonicorn::http
