#include "core/backtrace.hpp"

#include <cxxabi.h>
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwfl.h>
#include <fmt/format.h>
#include <semaphore.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <unwind.h>

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
#include <string_view>

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

struct Walk {
  Slot& slot;
  bool in_handler = true;
};

_Unwind_Reason_Code on_frame(_Unwind_Context* context, void* argument) {
  auto& walk = *static_cast<Walk*>(argument);
  Slot& slot = walk.slot;
  int interrupted = 0;
  const std::uintptr_t code = ::_Unwind_GetIPInfo(context, &interrupted);
  if (code == 0) return _URC_END_OF_STACK;
  // The innermost interrupted function is where the thread was; what came before is the handler.
  if (interrupted != 0 && walk.in_handler) {
    walk.in_handler = false;
    slot.depth = 0;
  }
  if (slot.depth == slot.code.size()) return _URC_END_OF_STACK;
  // A return address may lie behind the calling function, if the call was its last instruction.
  slot.code[slot.depth++] = interrupted != 0 ? code : code - 1;
  return _URC_NO_REASON;
}

// libgcc's unwinder allocates nothing, and finds the tables of an object by _dl_find_object of
// glibc 2.35, which takes no lock: it may run in a handler. backtrace() of glibc and
// Boost.Stacktrace rest on the same function, but do not tell the interrupted frame from those of
// callers.
[[gnu::noinline]] void walk_stack(Slot& slot) {
  Walk walk{slot};
  slot.depth = 0;
  ::_Unwind_Backtrace(&on_frame, &walk);
  if (!walk.in_handler) return;
  // A sanitizer may call the handler later, as a plain function. Then the first frames are this
  // function and the handler.
  const std::size_t own = std::min<std::size_t>(slot.depth, 2);
  for (std::size_t i = own; i < slot.depth; ++i) slot.code[i - own] = slot.code[i];
  slot.depth -= own;
}

// Async-signal-safe. Answers if this very thread is asked now; anything else, such as a signal from
// elsewhere or an answer to a request that was given up, is nobody's.
void on_backtrace_signal(int /*signal*/, siginfo_t* /*info*/, void* /*context*/) {
  const int saved = errno;
  if (Slot* const slot = current_slot.load(std::memory_order_acquire)) {
    std::uint64_t asked = slot->state.load(std::memory_order_acquire);
    if (asked % kPhases == kAsked &&
        slot->thread.load(std::memory_order_relaxed) == ::syscall(SYS_gettid) &&
        slot->state.compare_exchange_strong(asked, asked - kAsked + kWriting)) {
      walk_stack(*slot);
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

// Names of what is in this process, from the objects' files as they are now.
class Symbols {
 public:
  Symbols() : dwfl_(::dwfl_begin(&kCallbacks)) {
    if (dwfl_ == nullptr) return;
    ::dwfl_linux_proc_report(dwfl_, ::getpid());
    ::dwfl_report_end(dwfl_, nullptr, nullptr);
  }
  ~Symbols() { ::dwfl_end(dwfl_); }
  Symbols(const Symbols&) = delete;
  Symbols& operator=(const Symbols&) = delete;

  Frame frame_at(std::uintptr_t code) const {
    Frame frame;
    frame.offset = code;
    Dwfl_Module* const module = dwfl_ != nullptr ? ::dwfl_addrmodule(dwfl_, code) : nullptr;
    if (module == nullptr) return frame;
    Dwarf_Addr start = 0;
    const std::string_view path =
        ::dwfl_module_info(module, nullptr, &start, nullptr, nullptr, nullptr, nullptr, nullptr);
    frame.file = path.substr(path.rfind('/') + 1);
    GElf_Addr bias = 0;
    frame.offset = code - (::dwfl_module_getelf(module, &bias) != nullptr ? bias : start);
    if (const char* const name = ::dwfl_module_addrname(module, code)) {
      frame.function = demangled(name);
    }
    if (place_of_inlined_call(module, code, frame)) return frame;
    if (Dwfl_Line* const line = ::dwfl_module_getsrc(module, code)) {
      const char* const source =
          ::dwfl_lineinfo(line, nullptr, &frame.line, nullptr, nullptr, nullptr);
      if (source != nullptr) frame.source = source;
    }
    return frame;
  }

 private:
  template <class T>
  using Owned = std::unique_ptr<T, decltype(&std::free)>;

  // Where the frame's own function calls the one that the address is in, when that was compiled
  // into it; the address's own line would be in a file that has nothing to do with the frame's
  // function.
  static bool place_of_inlined_call(Dwfl_Module* module, std::uintptr_t code, Frame& frame) {
    Dwarf_Addr bias = 0;
    Dwarf_Die* const unit = ::dwfl_module_addrdie(module, code, &bias);
    if (unit == nullptr) return false;
    // The scopes of an address follow an inlined function to where it is written; those of the
    // innermost one follow it to where it is called.
    Dwarf_Die* innermost = nullptr;
    if (::dwarf_getscopes(unit, code - bias, &innermost) <= 0) return false;
    const Owned<Dwarf_Die> owned_innermost(innermost, &std::free);
    Dwarf_Die* scopes = nullptr;
    const int count = ::dwarf_getscopes_die(innermost, &scopes);
    const Owned<Dwarf_Die> owned_scopes(scopes, &std::free);
    Dwarf_Die* outermost = nullptr;
    for (int i = 0; i < count && ::dwarf_tag(scopes + i) != DW_TAG_subprogram; ++i) {
      if (::dwarf_tag(scopes + i) == DW_TAG_inlined_subroutine) outermost = scopes + i;
    }
    if (outermost == nullptr) return false;
    Dwarf_Attribute attribute;
    Dwarf_Word file = 0;
    Dwarf_Word line = 0;
    Dwarf_Files* files = nullptr;
    if (::dwarf_formudata(::dwarf_attr(outermost, DW_AT_call_file, &attribute), &file) != 0 ||
        ::dwarf_formudata(::dwarf_attr(outermost, DW_AT_call_line, &attribute), &line) != 0 ||
        ::dwarf_getsrcfiles(unit, &files, nullptr) != 0) {
      return false;
    }
    const char* const source = ::dwarf_filesrc(files, file, nullptr, nullptr);
    if (source == nullptr) return false;
    frame.source = source;
    frame.line = static_cast<int>(line);
    return true;
  }

  static std::string demangled(const char* name) {
    int status = 0;
    const Owned<char> text(abi::__cxa_demangle(name, nullptr, nullptr, &status), &std::free);
    return text ? text.get() : name;
  }

  // Separate debug files are found by build-id in the system's folder. The standard callback would
  // also load libdebuginfod and ask a server: the dynamic linker's lock may be held by the very
  // thread that hangs, and a network is not for now.
  static constexpr Dwfl_Callbacks kCallbacks{&dwfl_linux_proc_find_elf,
                                             &dwfl_build_id_find_debuginfo, nullptr, nullptr};

  Dwfl* dwfl_;
};

}  // namespace

int backtrace_signal() { return SIGRTMAX - 3; }

void install_backtrace_handler() {
  // The unwinder's first run initialises it, and binds the symbols that it needs.
  [[maybe_unused]] static const bool primed = [] {
    Slot slot;
    walk_stack(slot);
    return true;
  }();
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
  const Symbols symbols;
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
