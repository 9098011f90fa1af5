#include "core/backtrace.hpp"

#include <fmt/format.h>
#include <semaphore.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <memory>
#include <mutex>
#include <optional>

#include "core/stack_walk.hpp"
#include "core/symbols.hpp"

namespace sonicorn::core {
namespace {

constexpr std::size_t kMaxDepth = 256;

// Where a request is. The state of a slot is its phase and, above, the number of the request, so
// that a handler that comes late cannot mistake the next request for its own.
enum Phase : std::uint64_t { kIdle, kAsked, kWriting, kWritten };
constexpr std::uint64_t kPhases = 4;

// What a request shares with the handler. Never freed, and not used again while a handler writes.
struct Slot {
  Slot() { ::sem_init(&answered, 0, 0); }

  std::atomic<std::uint64_t> state{kIdle};
  std::atomic<pid_t> thread{0};  // who is asked
  sem_t answered;
  std::size_t depth = 0;
  std::array<std::uintptr_t, kMaxDepth> code{};  // an address inside each function's instruction
};

// The slot of the request that is under way, or of the last one.
std::atomic<Slot*> current_slot{nullptr};
static_assert(std::atomic<Slot*>::is_always_lock_free);
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

// Async-signal-safe. Answers if this very thread is asked now; anything else, such as a signal from
// elsewhere or an answer to a request that was given up, is nobody's.
void on_backtrace_signal(int /*signal*/, siginfo_t* /*info*/, void* /*context*/) {
  const int saved = errno;
  if (Slot* const slot = current_slot.load(std::memory_order_acquire)) {
    std::uint64_t asked = slot->state.load(std::memory_order_acquire);
    if (asked % kPhases == kAsked &&
        slot->thread.load(std::memory_order_relaxed) == ::syscall(SYS_gettid) &&
        slot->state.compare_exchange_strong(asked, asked - kAsked + kWriting)) {
      // A sanitizer may call the handler later, as a plain function; it is left out then, too.
      walk_stack(slot->code, slot->depth, 1);
      slot->state.store(asked - kAsked + kWritten, std::memory_order_release);
      ::sem_post(&slot->answered);
    }
  }
  errno = saved;
}

bool is_installed() {
  struct sigaction now {};
  return ::sigaction(backtrace_signal(), nullptr, &now) == 0 && (now.sa_flags & SA_SIGINFO) != 0 &&
         now.sa_sigaction == &on_backtrace_signal;
}

// What the kernel says of a thread.
struct ThreadStatus {
  char state = '?';
  bool pending = false;  // the signal, not yet delivered
  bool blocked = false;
};

std::optional<ThreadStatus> status_of(pid_t thread) {
  std::ifstream file(fmt::format("/proc/self/task/{}/status", thread));
  if (!file) return std::nullopt;
  ThreadStatus status;
  const auto has_signal = [](const std::string& mask) {
    const auto bit = static_cast<unsigned>(backtrace_signal() - 1);
    return (std::strtoull(mask.c_str(), nullptr, 16) >> bit & 1U) != 0;
  };
  std::string key;
  std::string value;
  while (file >> key && std::getline(file >> std::ws, value)) {
    if (key == "State:") status.state = value.front();
    if (key == "SigPnd:") status.pending = has_signal(value);
    if (key == "SigBlk:") status.blocked = has_signal(value);
  }
  return status;
}

Error no_such_thread(pid_t thread) {
  return host_error("core.no_such_thread", fmt::format("this process has no thread {}", thread));
}

Error no_answer(pid_t thread, std::chrono::milliseconds patience) {
  const auto status = status_of(thread);
  if (!status) return no_such_thread(thread);
  return host_error(
      "core.thread_takes_no_signals",
      status->blocked ? fmt::format("the thread {} does not take signals: it has signal {} blocked",
                                    thread, backtrace_signal())
                      : fmt::format("the thread {} does not take signals: no answer within {} ms "
                                    "(its state is {})",
                                    thread, patience.count(), status->state));
}

// Makes requests, one at a time.
class Asker {
 public:
  // Addresses in the functions of the thread's stack.
  Result<std::vector<std::uintptr_t>> ask(pid_t thread, std::chrono::milliseconds patience) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    Slot& slot = free_slot();
    const std::uint64_t number = ++last_number_ * kPhases;
    slot.thread.store(thread, std::memory_order_relaxed);
    slot.state.store(number + kAsked, std::memory_order_release);
    current_slot.store(&slot, std::memory_order_release);
    // Real-time signals queue. One that waits since an earlier request does for this one, too.
    const auto status = status_of(thread);
    if (!status || !status->pending) {
      if (::syscall(SYS_tgkill, ::getpid(), thread, backtrace_signal()) != 0) {
        const int error = errno;
        take_back(slot, number);
        if (error != EAGAIN) return no_such_thread(thread);
        return host_error("core.thread_takes_no_signals",
                          "the limit of pending signals is reached; raise RLIMIT_SIGPENDING");
      }
    }
    wait_for(slot, number + kWritten, deadline);
    if (take_back(slot, number)) return no_answer(thread, patience);
    if (slot.state.load(std::memory_order_acquire) != number + kWritten) {
      return no_answer(thread, patience);
    }
    return std::vector<std::uintptr_t>(slot.code.begin(),
                                       slot.code.begin() + static_cast<std::ptrdiff_t>(slot.depth));
  }

 private:
  // From a handler that was begun and then stopped, its slot is left to it.
  Slot& free_slot() {
    for (const auto& slot : slots_) {
      if (slot->state.load(std::memory_order_acquire) % kPhases != kWriting) return *slot;
    }
    return *slots_.emplace_back(std::make_unique<Slot>());
  }

  // After this, no handler begins to write. False if one did before.
  static bool take_back(Slot& slot, std::uint64_t number) {
    std::uint64_t asked = number + kAsked;
    return slot.state.compare_exchange_strong(asked, number + kIdle);
  }

  static void wait_for(Slot& slot, std::uint64_t state,
                       std::chrono::steady_clock::time_point deadline) {
    const auto left = deadline.time_since_epoch();
    const auto whole = std::chrono::floor<std::chrono::seconds>(left);
    const timespec until{static_cast<time_t>(whole.count()),
                         static_cast<long>(std::chrono::nanoseconds(left - whole).count())};
    // The semaphore may still count an answer to an earlier request; the state decides.
    while (slot.state.load(std::memory_order_acquire) != state) {
      if (::sem_clockwait(&slot.answered, CLOCK_MONOTONIC, &until) != 0 && errno != EINTR) return;
    }
  }

  std::vector<std::unique_ptr<Slot>> slots_;
  std::uint64_t last_number_ = 0;
};

}  // namespace

int backtrace_signal() { return SIGRTMAX - 3; }

void install_backtrace_handler() {
  prime_stack_walk();
  struct sigaction action {};
  action.sa_sigaction = &on_backtrace_signal;
  action.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK;
  ::sigemptyset(&action.sa_mask);
  ::sigaction(backtrace_signal(), &action, nullptr);
}

Result<std::vector<Frame>> backtrace_of(pid_t thread, std::chrono::milliseconds patience) {
  // Never destroyed: a handler may come while the process ends.
  static auto* const asker = new Asker();
  static auto* const one_at_a_time = new std::mutex();
  const std::lock_guard lock(*one_at_a_time);
  // Without a handler the signal would end the process.
  if (!is_installed()) {
    return host_error("core.no_backtrace_handler",
                      fmt::format("signal {} is not handled by the server; call "
                                  "install_backtrace_handler(), and let no app replace it",
                                  backtrace_signal()));
  }
  const auto codes = asker->ask(thread, patience);
  if (!codes) return codes.error();
  const Symbols symbols = Symbols::of_this_process();
  std::vector<Frame> frames;
  frames.reserve(codes->size());
  for (const std::uintptr_t code : *codes) frames.push_back(symbols.frame_at(code));
  return frames;
}

std::vector<std::string> to_lines(const std::vector<Frame>& frames) {
  std::vector<std::string> lines;
  lines.reserve(frames.size());
  for (const Frame& frame : frames) {
    std::string line =
        fmt::format("#{} {}", lines.size(), frame.function.empty() ? "??" : frame.function);
    if (!frame.source.empty()) line += fmt::format(" at {}:{}", frame.source, frame.line);
    line += fmt::format(" ({}{}{:#x})", frame.file, frame.file.empty() ? "" : "+", frame.offset);
    lines.push_back(std::move(line));
  }
  return lines;
}

std::string to_text(const std::vector<Frame>& frames) {
  std::string text;
  for (const std::string& line : to_lines(frames)) text += "  " + line + "\n";
  return text;
}

}  // namespace sonicorn::core
