#include "core/own_thread.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <map>
#include <mutex>
#include <sstream>
#include <string>

namespace sonicorn::core {
namespace {

struct All {
  std::mutex mutex;
  std::map<pid_t, std::uint64_t> births;
  std::size_t most = 64;  // before those that are gone are looked for

  void add(pid_t thread, std::uint64_t birth) {
    const std::lock_guard lock(mutex);
    births[thread] = birth;
    if (births.size() < most) return;
    std::erase_if(births,
                  [](const auto& each) { return birth_of_thread(each.first) != each.second; });
    most = std::max<std::size_t>(64, 2 * births.size());
  }
};

// Threads may end after static objects.
All& all() {
  static auto* const kept = new All();
  return *kept;
}

}  // namespace

std::uint64_t birth_of_thread(pid_t thread) {
  std::ifstream file(fmt::format("/proc/self/task/{}/stat", thread));
  std::string line;
  std::getline(file, line);
  // Its name may hold anything, and is in parentheses.
  std::istringstream rest(line.substr(std::min(line.rfind(')'), line.size())));
  std::string field;
  constexpr int kBirth = 20;  // fields behind the name (proc(5): the 22nd)
  for (int i = 0; i <= kBirth; ++i) rest >> field;
  std::uint64_t birth = 0;
  std::from_chars(field.data(), field.data() + field.size(), birth);
  return birth;
}

void detail::note_own_thread() noexcept {
  const pid_t thread = ::gettid();
  all().add(thread, birth_of_thread(thread));
  --own_threads_beginning;
  own_threads_beginning.notify_all();
}

bool is_own_thread(pid_t thread, std::uint64_t birth) {
  for (int beginning = detail::own_threads_beginning; beginning != 0;
       beginning = detail::own_threads_beginning) {
    detail::own_threads_beginning.wait(beginning);
  }
  const std::lock_guard lock(all().mutex);
  const auto found = all().births.find(thread);
  return found != all().births.end() && found->second == birth;
}

}  // namespace sonicorn::core
