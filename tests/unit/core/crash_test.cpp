#include "core/crash.hpp"

#include <dlfcn.h>
#include <doctest/doctest.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "core/alternate_stack.hpp"
#include "core/crash_report.hpp"
#include "core/place.hpp"
#include "dying_child.hpp"

// Where the children end. Each does something after its end, so that it is no tail call.
namespace ends {

volatile int after = 0;

[[gnu::noinline]] void by_null() {
  int* volatile nowhere = reinterpret_cast<int*>(16);
  *nowhere = 1;
  after = 1;
}

[[gnu::noinline]] void by_trap() {
  __builtin_trap();
  after = 1;
}

[[gnu::noinline]] void by_abort() {
  std::abort();
  after = 1;
}

[[gnu::noinline]] void by_raise(int signal) {
  ::raise(signal);
  after = 1;
}

[[gnu::noinline]] void by_exit(int status) {
  std::exit(status);
  after = 1;
}

[[gnu::noinline]] void by_quick_exit(int status) {
  std::quick_exit(status);
  after = 1;
}

[[gnu::noinline]] int by_recursion(int depth) {
  if (depth < 0) return 0;
  volatile char room[4096];
  room[0] = static_cast<char>(depth);
  return by_recursion(depth + 1) + room[0];
}

#ifndef __clang__
[[gnu::noinline, gnu::no_sanitize("undefined")]]
#endif
void by_bad_call() {
  void (*volatile nowhere)() = reinterpret_cast<void (*)()>(0x1000);
  nowhere();
  after = 1;
}

#ifdef __x86_64__
[[gnu::noinline]] void by_lost_stack() {
  __asm__ volatile("movq $64, %rsp; movq $64, %rbp; pushq %rax");
  after = 1;
}
#endif

}  // namespace ends

namespace sonicorn::core {
namespace {

const Frame* find(const std::vector<Frame>& frames, std::string_view function) {
  const auto found = std::find_if(frames.begin(), frames.end(), [&](const Frame& frame) {
    return frame.function.starts_with(function);
  });
  return found != frames.end() ? &*found : nullptr;
}

void check_stands_in(const CrashReport& report, std::string_view function) {
  const auto frames = named_frames(report);
  INFO(to_text(frames));
  CHECK(report.whole);
  const Frame* const frame = find(frames, function);
  REQUIRE(frame != nullptr);
  CHECK(frame->file == "unit_test");
  CHECK(frame->source.ends_with("crash_test.cpp"));
  CHECK(frame->line > 0);
  CHECK(find(frames, "sonicorn::core::(anonymous namespace)::on_") == nullptr);
  CHECK(find(frames, "sonicorn::core::walk_stack") == nullptr);
  // What the report says without files.
  const Frame plain = plain_frames(report).at(static_cast<std::size_t>(frame - frames.data()));
  CHECK(plain.file == "unit_test");
  CHECK(plain.offset == frame->offset);
  CHECK(plain.function.empty());
}

std::uintptr_t base_of_this_program() {
  Dl_info info{};
  REQUIRE(::dladdr(reinterpret_cast<const void*>(&base_of_this_program), &info) != 0);
  return reinterpret_cast<std::uintptr_t>(info.dli_fbase);
}

void check_tells(const Death& death, int signal, std::string_view function) {
  CAPTURE(signal);
  CHECK(death.by(signal));
  const CrashReport report = death.report();
  CHECK(report.kind == CrashKind::signal);
  CHECK(report.signal == signal);
  CHECK(report.process == death.process);
  CHECK(report.thread == death.process);
  CHECK_FALSE(report.stack_overflow);
  CHECK(report.app.empty());
  check_stands_in(report, function);
}

TEST_CASE("a process says by which signal it dies and where, and dies by it") {
  check_tells(death_of(ends::by_null), SIGSEGV, "ends::by_null");
  check_tells(death_of(ends::by_trap), SIGILL, "ends::by_trap");
  check_tells(death_of(ends::by_abort), SIGABRT, "ends::by_abort");
  for (const int signal : {SIGBUS, SIGFPE, SIGSYS, SIGTRAP, SIGSEGV}) {
    check_tells(death_of([signal] { ends::by_raise(signal); }), signal, "ends::by_raise");
  }
}

TEST_CASE("the address of a fault and of the code are told") {
  const CrashReport report = death_of(ends::by_null).report();
  CHECK(report.address == 16);
  CHECK(report.code > 0);
  CHECK(report.sender == 0);
  REQUIRE_FALSE(report.frames.empty());
  // A forked child has its objects where this process has them.
  CHECK(report.frames[0].code == base_of_this_program() + report.frames[0].offset);
  CHECK(report.frames[0].object.starts_with('/'));
  CHECK(summary(report) ==
        "the worker ended by SIGSEGV at 0x10, and no app is known to have run (thread " +
            std::to_string(report.thread) + " unit_test)");
}

TEST_CASE("the thread that crashes is told by its id and its name") {
  const Death death = death_of([] {
    std::thread thread([] {
      ::pthread_setname_np(::pthread_self(), "io-7");
      ends::by_null();
    });
    thread.join();
  });
  CHECK(death.by(SIGSEGV));
  const CrashReport report = death.report();
  CHECK(report.thread != report.process);
  CHECK(report.thread_name == "io-7");
  check_stands_in(report, "ends::by_null");
}

TEST_CASE("an overflow of the stack is told from other faults, on each thread that has a second") {
  const Death on_main = death_of([] { ends::by_recursion(0); });
  CHECK(on_main.by(SIGSEGV));
  CHECK(on_main.report().stack_overflow);
  CHECK(on_main.report().frames.size() == kMostFrames);
  check_stands_in(on_main.report(), "ends::by_recursion");
  CHECK(summary(on_main.report()).find("SIGSEGV (stack overflow) at 0x") != std::string::npos);

  const Death on_thread = death_of([] {
    std::thread thread([] {
      use_alternate_stack();
      use_alternate_stack();
      ends::by_recursion(0);
    });
    thread.join();
  });
  CHECK(on_thread.by(SIGSEGV));
  CHECK(on_thread.report().stack_overflow);
  check_stands_in(on_thread.report(), "ends::by_recursion");
}

TEST_CASE("a thread that ends gives its alternate stack back") {
  std::thread thread([] {
    use_alternate_stack();
    stack_t now{};
    REQUIRE(::sigaltstack(nullptr, &now) == 0);
    CHECK((now.ss_flags & SS_DISABLE) == 0);
    CHECK(now.ss_size >= 64 * 1024);
    CHECK(has_alternate_stack());
  });
  thread.join();
  CHECK_FALSE(has_alternate_stack());
}

TEST_CASE("of threads that crash at once one reports, as a whole") {
  for (int round = 0; round < 10; ++round) {
    const Death death = death_of([] {
      constexpr int kThreads = 4;
      std::atomic<int> ready{0};
      std::vector<std::thread> threads;
      for (int i = 0; i < kThreads; ++i) {
        threads.emplace_back([&ready] {
          ++ready;
          while (ready < kThreads) continue;
          ends::by_null();
        });
      }
      for (std::thread& thread : threads) thread.join();
    });
    CHECK(death.by(SIGSEGV));
    check_stands_in(death.report(), "ends::by_null");
    const std::string_view bytes(reinterpret_cast<const char*>(death.bytes.data()),
                                 death.bytes.size());
    const std::string_view magic(kCrashMagic.data(), kCrashMagic.size());
    CHECK(bytes.rfind(magic) == 0);
  }
}

TEST_CASE("an exit that nobody planned is told, and nothing runs after it") {
  const Death death = death_of([] {
    std::atexit([] { ::_exit(99); });
    expect_no_exit();
    ends::by_exit(3);
  });
  CHECK(death.with(3));
  const CrashReport report = death.report();
  CHECK(report.kind == CrashKind::exit);
  CHECK(report.status == 3);
  CHECK(report.thread == death.process);
  check_stands_in(report, "ends::by_exit");
  CHECK(summary(report).starts_with("the worker ended by exit(3), and no app"));

  const Death quick = death_of([] { ends::by_quick_exit(4); });
  CHECK(quick.with(4));
  CHECK(quick.report().kind == CrashKind::quick_exit);
  check_stands_in(quick.report(), "ends::by_quick_exit");
}

TEST_CASE("an exit that is planned is no crash") {
  const Death death = death_of([] {
    expect_exit();
    std::atexit([] { ::_exit(5); });
    ends::by_exit(0);
  });
  CHECK(death.with(5));
  CHECK(death.bytes.empty());
}

TEST_CASE("a child of the process reports nothing, however it ends") {
  const Death death = death_of([] {
    for (const bool crashes : {true, false}) {
      const pid_t child = ::fork();
      if (child == 0) {
        std::atexit([] { ::_exit(6); });
        crashes ? ends::by_null() : ends::by_exit(0);
      }
      int status = 0;
      ::waitpid(child, &status, 0);
      const bool as_expected = crashes ? WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV
                                       : WIFEXITED(status) && WEXITSTATUS(status) == 6;
      if (!as_expected) ::_exit(1);
    }
  });
  CHECK(death.with(0));
  CHECK(death.bytes.empty());
}

TEST_CASE("a call through a bad pointer shows who made it") {
  const Death death = death_of(ends::by_bad_call);
  CHECK(death.by(SIGSEGV));
  const CrashReport report = death.report();
  REQUIRE(report.frames.size() > 2);
  CHECK(report.frames[0].code == 0x1000);
  CHECK(report.frames[0].object.empty());
  check_stands_in(report, "ends::by_bad_call");
}

// What sanitizers do about a signal before the handler needs a stack.
#if defined(__x86_64__) && !defined(__SANITIZE_THREAD__) && !defined(__SANITIZE_ADDRESS__)
TEST_CASE("a stack that cannot be walked is told as far as it can") {
  const Death death = death_of(ends::by_lost_stack);
  CHECK(death.by(SIGSEGV));
  const CrashReport report = death.report();
  CHECK(report.signal == SIGSEGV);
  CHECK_FALSE(report.stack_overflow);
  CHECK(report.address == 56);
  const auto frames = named_frames(report);
  INFO(to_text(frames));
  CHECK(find(frames, "ends::by_lost_stack") != nullptr);
}
#endif

TEST_CASE("a signal from another process is told as that") {
  int ready[2];
  REQUIRE(::pipe2(ready, O_CLOEXEC) == 0);
  DyingChild child([&ready] {
    if (::write(ready[1], "", 1) != 1) ::_exit(1);
    for (;;) ::pause();
  });
  char byte = 0;
  CHECK(::read(ready[0], &byte, 1) == 1);
  for (const int end : ready) ::close(end);
  REQUIRE(::kill(child.process(), SIGABRT) == 0);
  const Death death = child.death();
  CHECK(death.by(SIGABRT));
  CHECK(death.report().sender == ::getpid());
  CHECK(summary(death.report()).find("SIGABRT from process " + std::to_string(::getpid())) !=
        std::string::npos);
}

TEST_CASE("nobody who reads, or no room in the pipe, does not keep a process from its death") {
  DyingChild unread([] {
    // The report goes to whom nobody reads.
    int ends[2];
    if (::pipe(ends) != 0) ::_exit(1);
    std::vector<char> fill(std::size_t{1} << 20);
    ::fcntl(ends[1], F_SETFL, O_NONBLOCK);
    while (::write(ends[1], fill.data(), fill.size()) > 0) continue;
    ::fcntl(ends[1], F_SETFL, 0);
    install_crash_handler(ends[1]);
    ends::by_recursion(0);
  });
  CHECK(unread.death().by(SIGSEGV));

  int gate[2];
  REQUIRE(::pipe2(gate, O_CLOEXEC) == 0);
  DyingChild gone([&gate] {
    char byte = 0;
    if (::read(gate[0], &byte, 1) == 1) ends::by_null();
  });
  gone.close_report();
  CHECK(::write(gate[1], "", 1) == 1);
  CHECK(gone.death().by(SIGSEGV));
  for (const int end : gate) ::close(end);
}

TEST_CASE("the place of the thread is told") {
  const Death death = death_of([] {
    const PlaceHere outer({"other", "", 1, "its load"});
    { const PlaceHere inner({"inner", "", 2, "start"}); }
    const std::string long_name(100, 'n');
    const PlaceHere here({long_name, "0a1b", 3, "on_request"});
    ends::by_abort();
  });
  const CrashReport report = death.report();
  CHECK(report.app == std::string(64, 'n'));
  CHECK(report.build_id == "0a1b");
  CHECK(report.generation == 3);
  CHECK(report.what == "on_request");
}

TEST_CASE("a place that was left is told no more") {
  const Death death = death_of([] {
    const PlaceHere outer({"outer", "", 1, "start"});
    { const PlaceHere inner({"inner", "", 2, "start"}); }
    ends::by_abort();
  });
  CHECK(death.report().app == "outer");
}

TEST_CASE("code that belongs to an app is told as the app's, as long as it is registered") {
  const auto end_in_own_code = [](bool on_own_thread, bool registered) {
    return death_of([=] {
      const AddressRange range = object_at(reinterpret_cast<std::uintptr_t>(&base_of_this_program));
      const CodeOfApp nothing({}, {"nothing", "", 1, ""});
      { const CodeOfApp before({&range, 1}, {"before", "", 1, ""}); }
      // Code that goes without a word, and its end after other code has come in its place.
      std::optional<CodeOfApp> gone(std::in_place, std::span(&range, 1), Place{"gone", "", 1, ""});
      const CodeOfApp code({&range, registered ? std::size_t{1} : 0}, {"hello", "0a", 7, ""});
      gone.reset();
      if (!on_own_thread) ends::by_null();
      std::thread(ends::by_null).join();
    });
  };
  const CrashReport own_thread = end_in_own_code(true, true).report();
  CHECK(own_thread.app == "hello");
  CHECK(own_thread.build_id == "0a");
  CHECK(own_thread.generation == 7);
  CHECK(own_thread.what == "a thread of its own");
  CHECK(summary(own_thread)
            .starts_with("app hello: a thread of its own ended the worker by SIGSEGV at 0x10 "
                         "(generation 7, thread "));
  CHECK(end_in_own_code(false, true).report().what == "its code outside of any call");
  CHECK(end_in_own_code(true, false).report().app.empty());
}

}  // namespace
}  // namespace sonicorn::core
