#include "core/own_thread.hpp"

#include <unistd.h>

#include <mutex>
#include <set>

namespace sonicorn::core {
namespace {

struct All {
  std::mutex mutex;
  std::set<pid_t> threads;
};

// Threads may end after static objects.
All& all() {
  static auto* const kept = new All();
  return *kept;
}

struct Mark {
  pid_t thread = ::gettid();
  Mark() {
    const std::lock_guard lock(all().mutex);
    all().threads.insert(thread);
  }
  ~Mark() {
    const std::lock_guard lock(all().mutex);
    all().threads.erase(thread);
  }
};

}  // namespace

void note_own_thread() { static thread_local const Mark mark; }

bool is_own_thread(pid_t thread) {
  const std::lock_guard lock(all().mutex);
  return all().threads.count(thread) != 0;
}

}  // namespace sonicorn::core
