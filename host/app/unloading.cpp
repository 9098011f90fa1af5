#include "app/unloading.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <pthread.h>
#include <threads.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <charconv>
#include <chrono>
#include <csignal>
#include <fstream>
#include <system_error>
#include <vector>

#include "app/signal_guard.hpp"
#include "core/backtrace.hpp"
#include "core/own_thread.hpp"

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define SONICORN_KNOWS_KEYS
#endif

#ifdef SONICORN_KNOWS_KEYS
extern "C" int __pthread_key_create(pthread_key_t* key, void (*destructor)(void*));
#endif

namespace sonicorn::app {

namespace fs = std::filesystem;

namespace {

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

bool is_of_runtime(const core::Frame& frame) {
  return frame.file.starts_with("libc.so") || frame.file.starts_with("libc-") ||
         frame.file.starts_with("libstdc++.so") || frame.file.starts_with("libpthread");
}

// Whether the stack shows all the way from the thread's begin, and whose thread it is.
bool can_be_judged(const std::vector<core::Frame>& frames) {
  return !frames.empty() && frames.back().function.find("clone") != std::string::npos &&
         !std::all_of(frames.begin(), frames.end(), is_of_runtime);
}

// Empty when its stack shows that it runs none of the code.
std::string fault_of_thread(pid_t thread, std::span<const core::AddressRange> code) {
  const std::string name = name_of_thread(thread);
  if (name.empty()) return {};  // it has ended
  const auto frames = core::backtrace_of(thread);
  if (!frames && name_of_thread(thread).empty()) return {};
  const auto runs = [&](const core::Frame& frame) { return holds(code, frame.address); };
  if (frames && std::any_of(frames->begin(), frames->end(), runs)) {
    return fmt::format("the thread {} runs its code", name);
  }
  if (frames && can_be_judged(*frames)) return {};
  return fmt::format("the thread {} may run its code", name);
}

#ifdef SONICORN_KNOWS_KEYS
// The destructors of thread-specific data, by key.
constexpr std::size_t kMostKeys = PTHREAD_KEYS_MAX;
std::array<std::atomic<void (*)(void*)>, kMostKeys> destructors{};

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
    // "N unique symbols (NAMES): what comes of it"; a name may have colons of its own.
    if (hazard.id == "unique_symbols") return hazard.detail.substr(0, hazard.detail.find("):") + 1);
    if (hazard.id == "nodelete") return "it is linked with -z nodelete";
  }
  return {};
}

ThreadBirths threads_of_process() {
  ThreadBirths all;
  std::error_code error;
  for (fs::directory_iterator entry("/proc/self/task", error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    pid_t id = 0;
    std::from_chars(name.data(), name.data() + name.size(), id);
    if (const std::uint64_t birth = core::birth_of_thread(id); birth != 0) all[id] = birth;
  }
  return all;
}

std::string reason_to_keep(std::span<const core::AddressRange> code, const ThreadBirths& before) {
  for (int number = 1; number <= SIGRTMAX; ++number) {
    struct sigaction action {};
    if (::sigaction(number, nullptr, &action) != 0) continue;
    // One member of a union with the other kind of handler.
    if (holds(code, reinterpret_cast<std::uintptr_t>(action.sa_handler))) {
      return fmt::format("its handler of {} is installed", signal_name(number));
    }
  }
  if (has_key(code)) return "a pthread key has a destructor in its code";
  for (const auto& [thread, birth] : threads_of_process()) {
    const auto known = before.find(thread);
    if ((known != before.end() && known->second == birth) || core::is_own_thread(thread, birth))
      continue;
    if (std::string fault = fault_of_thread(thread, code); !fault.empty()) return fault;
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
  if (key < kMostKeys) destructors[key].store(destructor);
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
  // First, for somebody else may get that key the moment that it is free.
  sonicorn::app::note_key(key, nullptr);
  return real(key);
}

// C11's, which are the same keys.
extern "C" __attribute__((visibility("default"))) int tss_create(tss_t* key,
                                                                 tss_dtor_t destructor) {
  return pthread_key_create(key, destructor) == 0 ? thrd_success : thrd_error;
}

extern "C" __attribute__((visibility("default"))) void tss_delete(tss_t key) {
  pthread_key_delete(key);
}
#endif
