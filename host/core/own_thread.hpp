#pragma once

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <thread>
#include <utility>

// The server's own threads, among which what apps leave behind is not looked for.
namespace sonicorn::core {

// When the thread of this process with that kernel id began, in clock ticks; 0 when there is none.
std::uint64_t birth_of_thread(pid_t thread);

// Whether that thread is one of the server's own, from before it runs its first line until it is
// gone. Waits for those that are just beginning. Thread-safe.
bool is_own_thread(pid_t thread, std::uint64_t birth);

namespace detail {
inline std::atomic<int> own_threads_beginning{0};
void note_own_thread() noexcept;  // of the calling thread; it has begun
}  // namespace detail

// Starts a thread of the server's own. Throws std::system_error when there can be none.
template <class Body>
std::thread start_own_thread(Body body) {
  ++detail::own_threads_beginning;
  try {
    return std::thread([body = std::move(body)]() mutable {
      detail::note_own_thread();
      body();
    });
  } catch (...) {
    --detail::own_threads_beginning;
    detail::own_threads_beginning.notify_all();
    throw;
  }
}

}  // namespace sonicorn::core
