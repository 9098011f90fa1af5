#include "app/unloading.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <csignal>
#include <fstream>
#include <mutex>
#include <system_error>

#include "app/signal_guard.hpp"
#include "core/backtrace.hpp"

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define SONICORN_KNOWS_KEYS
#endif

#ifdef SONICORN_KNOWS_KEYS
extern "C" int __pthread_key_create(pthread_key_t* key, void (*destructor)(void*));
#endif

namespace sonicorn::app {

namespace fs = std::filesystem;

namespace {

constexpr std::chrono::milliseconds kPatience{500};  // for a thread to tell where it is

// Of the server's own threads.
std::mutex own_mutex;
std::set<pid_t>& own_threads() {
  static auto* const all = new std::set<pid_t>();  // threads may end after static objects
  return *all;
}

struct OwnThread {
  pid_t id = ::gettid();
  OwnThread() {
    const std::lock_guard lock(own_mutex);
    own_threads().insert(id);
  }
  ~OwnThread() {
    const std::lock_guard lock(own_mutex);
    own_threads().erase(id);
  }
};

bool is_own(pid_t thread) {
  const std::lock_guard lock(own_mutex);
  return own_threads().count(thread) != 0;
}

bool holds(std::span<const core::AddressRange> code, std::uintptr_t address) {
  return std::any_of(code.begin(), code.end(), [address](const core::AddressRange& range) {
    return address >= range.begin && address < range.end;
  });
}

std::string name_of_thread(pid_t thread) {
  std::ifstream file(fmt::format("/proc/self/task/{}/comm", thread));
  std::string name;
  std::getline(file, name);
  return name;
}

// Empty when its stack shows that it runs none of the code.
std::string fault_of_thread(pid_t thread, const fs::path& file) {
  const std::string name = name_of_thread(thread);
  if (name.empty()) return {};  // it has ended
  const auto frames = core::backtrace_of(thread, kPatience);
  if (!frames) {
    if (name_of_thread(thread).empty()) return {};
    return fmt::format("the thread {} may run its code", name);
  }
  const std::string object = file.filename().string();
  const bool runs = std::any_of(frames->begin(), frames->end(),
                                [&](const core::Frame& frame) { return frame.file == object; });
  return runs ? fmt::format("the thread {} runs its code", name) : std::string();
}

#ifdef SONICORN_KNOWS_KEYS
// The destructors of thread-specific data, by key.
constexpr std::size_t kKeys = PTHREAD_KEYS_MAX;
std::array<std::atomic<void (*)(void*)>, kKeys> destructors{};

bool has_key(std::span<const core::AddressRange> code) {
  return std::any_of(destructors.begin(), destructors.end(), [&](const auto& each) {
    const auto destructor = each.load();
    return destructor != nullptr && holds(code, reinterpret_cast<std::uintptr_t>(destructor));
  });
}
#else
// Sanitizers make keys before this could take note of any.
bool has_key(std::span<const core::AddressRange>) { return false; }
#endif

}  // namespace

std::string predicted_pin(const Inspection& inspection) {
  for (const Hazard& hazard : inspection.hazards) {
    if (hazard.id == "unique_symbols") return hazard.detail.substr(0, hazard.detail.find(':'));
    if (hazard.id == "nodelete") return "it is linked with -z nodelete";
  }
  return {};
}

std::set<pid_t> threads_of_process() {
  std::set<pid_t> all;
  std::error_code error;
  for (fs::directory_iterator entry("/proc/self/task", error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    pid_t id = 0;
    std::from_chars(name.data(), name.data() + name.size(), id);
    if (id != 0) all.insert(id);
  }
  return all;
}

void note_own_thread() { thread_local const OwnThread own; }

std::string reason_to_keep(std::span<const core::AddressRange> code, const fs::path& file,
                           const std::set<pid_t>& before) {
  for (int number = 1; number <= SIGRTMAX; ++number) {
    struct sigaction action {};
    if (::sigaction(number, nullptr, &action) != 0) continue;
    // One member of a union with the other kind of handler.
    if (holds(code, reinterpret_cast<std::uintptr_t>(action.sa_handler))) {
      return fmt::format("its handler of {} is installed", signal_name(number));
    }
  }
  if (has_key(code)) return "a pthread key has a destructor in its code";
  for (const pid_t thread : threads_of_process()) {
    if (before.count(thread) != 0 || is_own(thread)) continue;
    if (std::string fault = fault_of_thread(thread, file); !fault.empty()) return fault;
  }
  return {};
}

bool is_loaded(const fs::path& file) {
  void* const still = ::dlopen(file.c_str(), RTLD_NOLOAD | RTLD_NOW);
  if (still == nullptr) return false;
  ::dlclose(still);
  return true;
}

#ifdef SONICORN_KNOWS_KEYS
void note_key(pthread_key_t key, void (*destructor)(void*)) {
  if (key < kKeys) destructors[key].store(destructor);
}
#endif

}  // namespace sonicorn::app

#ifdef SONICORN_KNOWS_KEYS
// Apps come here when they make a key, for the server's executable is looked at first.
extern "C" __attribute__((visibility("default"))) int pthread_key_create(
    pthread_key_t* key, void (*destructor)(void*)) noexcept {
  const int error = __pthread_key_create(key, destructor);
  if (error == 0) sonicorn::app::note_key(*key, destructor);
  return error;
}

extern "C" __attribute__((visibility("default"))) int pthread_key_delete(
    pthread_key_t key) noexcept {
  using Delete = int (*)(pthread_key_t);
  static const auto real = reinterpret_cast<Delete>(::dlsym(RTLD_NEXT, "pthread_key_delete"));
  const int error = real(key);
  if (error == 0) sonicorn::app::note_key(key, nullptr);
  return error;
}
#endif
