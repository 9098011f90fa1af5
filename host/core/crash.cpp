#include "core/crash.hpp"

#include <dlfcn.h>
#include <fcntl.h>
#include <link.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "core/alternate_stack.hpp"
#include "core/crash_record.hpp"
#include "core/place.hpp"
#include "core/stack_walk.hpp"

// All of this runs in a process that is broken: it allocates nothing, takes no lock, and calls what
// is async-signal-safe.
namespace sonicorn::core {
namespace {

constexpr int kSignals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGSYS, SIGTRAP};
constexpr int kPatience = 1000;  // milliseconds, for a pipe to have room

enum class Stage { looking, writing, done };

// What the one report is made of; the thread that reports owns it.
struct Report {
  CrashHeader header{};
  std::array<std::uintptr_t, kMostFrames> code{};
  std::size_t depth = 0;
  siginfo_t info{};
  volatile Stage stage = Stage::looking;
};

constinit Report own_report{};
constinit std::atomic<pid_t> reporter{0};  // the thread, once there is one
constinit std::atomic<int> report_file{-1};
constinit std::atomic<pid_t> owner{0};  // the process that installed the handler
constinit std::atomic<bool> exit_is_crash{false};
constinit std::array<char, PATH_MAX> executable{};
static_assert(std::atomic<pid_t>::is_always_lock_free);

pid_t this_thread() { return static_cast<pid_t>(::syscall(SYS_gettid)); }

// Puts pieces together to writes that a pipe takes as a whole.
class Output {
 public:
  explicit Output(int file) : file_(file) {}

  void put(const void* bytes, std::size_t size) {
    if (used_ + size > chunk_.size()) flush();
    if (size > chunk_.size()) return;
    std::memcpy(chunk_.data() + used_, bytes, size);
    used_ += size;
  }

  // Waits for room a little, but never for a reader that does not read: then the rest is lost.
  void flush() {
    std::size_t written = 0;
    while (written < used_ && file_ >= 0) {
      pollfd room{file_, POLLOUT, 0};
      const int ready = ::poll(&room, 1, kPatience);
      if (ready < 0 && errno == EINTR) continue;
      const ssize_t done =
          ready <= 0 ? -1 : ::write(file_, chunk_.data() + written, used_ - written);
      if (ready > 0 && done < 0 && (errno == EINTR || errno == EAGAIN)) continue;
      if (done <= 0) file_ = -1;
      if (done > 0) written += static_cast<std::size_t>(done);
    }
    used_ = 0;
  }

 private:
  int file_;  // -1: it takes no more
  std::size_t used_ = 0;
  std::array<char, PIPE_BUF> chunk_;
};

void put_frame(Output& output, std::uintptr_t code) {
  FrameHeader frame{code, code, 0, 0};
  const char* path = "";
  dl_find_object found{};
  if (::_dl_find_object(reinterpret_cast<void*>(code), &found) == 0) {
    const link_map& object = *found.dlfo_link_map;
    frame.offset = code - object.l_addr;
    path = object.l_name == nullptr || *object.l_name == '\0' ? executable.data() : object.l_name;
  }
  const std::size_t size = std::strlen(path);
  const std::size_t kept = std::min(size, kLongestObjectPath);
  frame.path_size = static_cast<std::uint32_t>(kept);
  output.put(&frame, sizeof(frame));
  output.put(path + (size - kept), kept);
}

// For who runs in no call that the server made: the innermost function that is an app's.
void place_by_code() {
  for (std::size_t i = 0; i < own_report.depth; ++i) {
    if (!find_code_of_app(own_report.code[i], own_report.header.place)) continue;
    constexpr std::string_view kOwnThread = "a thread of its own";
    constexpr std::string_view kNoCall = "its code outside of any call";
    const std::string_view what = has_alternate_stack() ? kNoCall : kOwnThread;
    std::copy(what.begin(), what.end(), own_report.header.place.what.begin());
    return;
  }
}

void write_report(bool whole) {
  own_report.stage = Stage::writing;
  if (own_report.header.place.app[0] == '\0') place_by_code();
  // A reader that is gone must not decide by which signal this process ends.
  std::signal(SIGPIPE, SIG_IGN);
  Output output(report_file.load());
  output.put(&own_report.header, sizeof(own_report.header));
  for (std::size_t i = 0; i < own_report.depth; ++i) put_frame(output, own_report.code[i]);
  const FrameHeader end{0, 0, kEndOfFrames, 0};
  if (whole) output.put(&end, sizeof(end));
  output.flush();
  own_report.stage = Stage::done;
}

void begin_report(CrashKind kind, pid_t thread) {
  CrashHeader& header = own_report.header;
  header.magic = kCrashMagic;
  header.kind = kind;
  header.process = ::getpid();
  header.thread = thread;
  ::prctl(PR_GET_NAME, header.thread_name.data());
  if (Place place; place_here(place)) store(place, header.place);
}

// The registers that say where the thread was.
struct Position {
  std::uintptr_t code;
  std::uintptr_t stack_pointer;
};

Position position_of(const ucontext_t& context) {
#if defined(__x86_64__)
  return {static_cast<std::uintptr_t>(context.uc_mcontext.gregs[REG_RIP]),
          static_cast<std::uintptr_t>(context.uc_mcontext.gregs[REG_RSP])};
#elif defined(__aarch64__)
  return {context.uc_mcontext.pc, context.uc_mcontext.sp};
#else
#error "say where the instruction and stack pointers are on this machine"
#endif
}

// Has the context stand at the call that led to an address where no code is, which is what a call
// through a bad pointer leaves: from there the unwinder finds its way.
void return_from_nowhere(ucontext_t& context) {
#if defined(__x86_64__)
  auto& registers = context.uc_mcontext.gregs;
  const auto* const top = reinterpret_cast<const std::uintptr_t*>(registers[REG_RSP]);
  registers[REG_RIP] = static_cast<greg_t>(*top - 1);
  registers[REG_RSP] += static_cast<greg_t>(sizeof(*top));
#elif defined(__aarch64__)
  context.uc_mcontext.pc = context.uc_mcontext.regs[30] - 1;
#endif
}

void look_at_stack(ucontext_t& context) {
  const std::uintptr_t code = position_of(context).code;
  if (object_at(code).end != 0) return walk_stack(own_report.code, own_report.depth, 1);
  const ucontext_t before = context;
  own_report.code[0] = code;
  own_report.depth = 1;
  return_from_nowhere(context);
  std::size_t depth = 0;
  walk_stack({own_report.code.data() + 1, own_report.code.size() - 1}, depth, 1);
  own_report.depth += depth;
  context.uc_mcontext = before.uc_mcontext;
}

// Ends the process by the default action of the signal, with what the kernel said of it.
[[noreturn]] void die_by(int signal, siginfo_t& info) {
  std::signal(signal, SIG_DFL);
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, signal);
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  ::syscall(SYS_rt_tgsigqueueinfo, ::getpid(), this_thread(), signal, &info);
  ::syscall(SYS_tgkill, ::getpid(), this_thread(), signal);
  // The first process of a container has no default actions.
  ::_exit(128 + signal);
}

// Whether the calling thread is the one that reports; the others stay here.
bool become_reporter(pid_t thread) {
  pid_t nobody = 0;
  if (reporter.compare_exchange_strong(nobody, thread)) return true;
  if (nobody == thread) return false;
  for (;;) ::pause();
}

void tell_signal(int signal, const siginfo_t& info, const ucontext_t& context) {
  CrashHeader& header = own_report.header;
  header.signal = signal;
  header.code = info.si_code;
  if (info.si_code <= 0) {
    header.sender = info.si_pid;
    return;
  }
  header.address = reinterpret_cast<std::uintptr_t>(info.si_addr);
  const bool overflow =
      signal == SIGSEGV && is_stack_overflow(header.address, position_of(context).stack_pointer);
  header.stack_overflow = overflow ? 1 : 0;
}

void on_fatal_signal(int signal, siginfo_t* info, void* argument) {
  if (::getpid() != owner.load()) die_by(signal, *info);
  const pid_t thread = this_thread();
  auto& context = *static_cast<ucontext_t*>(argument);
  if (!become_reporter(thread)) {
    // Here again: the stack cannot be walked further, or what was found cannot be told.
    if (own_report.stage == Stage::looking) write_report(false);
    if (own_report.header.kind == CrashKind::signal)
      die_by(own_report.header.signal, own_report.info);
    die_by(signal, *info);
  }
  own_report.info = *info;
  begin_report(CrashKind::signal, thread);
  tell_signal(signal, *info, context);
  look_at_stack(context);
  write_report(true);
  die_by(signal, own_report.info);
}

// False when there is nothing to own_report.
bool report_exit(CrashKind kind, int status) {
  if (!exit_is_crash.load() || ::getpid() != owner.load()) return false;
  const pid_t thread = this_thread();
  if (!become_reporter(thread)) return true;
  own_report.header.status = status;
  begin_report(kind, thread);
  walk_stack(own_report.code, own_report.depth, 2);
  write_report(true);
  return true;
}

void on_exit_called(int status, void* /*argument*/) {
  if (report_exit(CrashKind::exit, status)) ::_exit(status);
}

// The status is not told here, and only a return brings it to the kernel.
void on_quick_exit_called() { static_cast<void>(report_exit(CrashKind::quick_exit, 0)); }

}  // namespace

void install_crash_handler(int to) {
  ::fcntl(to, F_SETFD, FD_CLOEXEC);
  const ssize_t size = ::readlink("/proc/self/exe", executable.data(), executable.size() - 1);
  executable[static_cast<std::size_t>(std::max<ssize_t>(size, 0))] = '\0';
  report_file = to;
  owner = ::getpid();
  prime_stack_walk();
  use_alternate_stack();
  struct sigaction action {};
  action.sa_sigaction = &on_fatal_signal;
  // A crash of the handler comes to the handler.
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;
  ::sigemptyset(&action.sa_mask);
  for (const int signal : kSignals) ::sigaction(signal, &action, nullptr);
  expect_no_exit();
}

void expect_no_exit() {
  if (owner.load() != ::getpid()) return;
  exit_is_crash = true;
  ::on_exit(&on_exit_called, nullptr);
  ::at_quick_exit(&on_quick_exit_called);
}

void expect_exit() { exit_is_crash = false; }

}  // namespace sonicorn::core
