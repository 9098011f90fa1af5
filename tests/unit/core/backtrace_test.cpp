#include "core/backtrace.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <csignal>
#include <functional>
#include <future>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

// What the threads stand in. Hidden, so that only the symbol table of the file has their names.
// Each does something after its wait, so that the wait is no tail call.
namespace stands {

[[gnu::noinline, gnu::visibility("hidden")]] void in_a_system_call(int descriptor, ssize_t& got) {
  char byte = 0;
  got = ::read(descriptor, &byte, 1);
}

[[gnu::noinline, gnu::visibility("hidden")]] void in_a_loop(const std::atomic<bool>& released,
                                                            std::uint64_t& rounds) {
  while (!released.load(std::memory_order_relaxed)) ++rounds;
}

[[gnu::noinline, gnu::visibility("hidden")]] void in_a_mutex(std::mutex& mutex, bool& had) {
  mutex.lock();
  had = true;
  mutex.unlock();
}

[[gnu::noinline, gnu::visibility("hidden")]] void in_a_condition(std::mutex& mutex,
                                                                 std::condition_variable& changed,
                                                                 const bool& released) {
  std::unique_lock lock(mutex);
  while (!released) changed.wait(lock);
}

}  // namespace stands

namespace sonicorn::core {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

#ifdef __SANITIZE_THREAD__
// It defers signals until the thread's next blocking call.
constexpr bool kMayDefer = true;
constexpr milliseconds kPatience{300};
#else
constexpr bool kMayDefer = false;
constexpr milliseconds kPatience{seconds(60)};
#endif
constexpr seconds kArrival{120};

class Pipe {
 public:
  Pipe() { REQUIRE(::pipe2(ends_, O_CLOEXEC) == 0); }
  ~Pipe() {
    ::close(ends_[0]);
    ::close(ends_[1]);
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;

  int out() const { return ends_[0]; }
  void put() const { CHECK(::write(ends_[1], "", 1) == 1); }

 private:
  int ends_[2] = {-1, -1};
};

// A thread that stands in `body` until `release`, and is released and joined at the latest here.
class Standing {
 public:
  Standing(std::function<void()> body, std::function<void()> release)
      : release_(std::move(release)) {
    std::promise<pid_t> id;
    thread_ = std::thread([&id, run = std::move(body)] {
      id.set_value(static_cast<pid_t>(::syscall(SYS_gettid)));
      run();
    });
    id_ = id.get_future().get();
  }
  ~Standing() { finish(); }
  Standing(const Standing&) = delete;
  Standing& operator=(const Standing&) = delete;

  pid_t id() const { return id_; }
  void finish() {
    if (!thread_.joinable()) return;
    release_();
    thread_.join();
  }

 private:
  std::function<void()> release_;
  std::thread thread_;
  pid_t id_ = 0;
};

pid_t own_id() { return static_cast<pid_t>(::syscall(SYS_gettid)); }

const Frame* find(const std::vector<Frame>& frames, std::string_view function) {
  const auto found = std::find_if(frames.begin(), frames.end(), [&](const Frame& frame) {
    return frame.function.find(function) != std::string::npos;
  });
  return found != frames.end() ? &*found : nullptr;
}

// Asks until the thread has come to both functions.
Result<std::vector<Frame>> frames_in(pid_t thread, std::string_view function,
                                     std::string_view inner = "") {
  const auto end = std::chrono::steady_clock::now() + kArrival;
  while (true) {
    auto frames = backtrace_of(thread, kPatience);
    if (!frames || std::chrono::steady_clock::now() > end) return frames;
    if (find(*frames, function) != nullptr && find(*frames, inner) != nullptr) return frames;
    std::this_thread::yield();
  }
}

void check_stands_in(pid_t thread, const std::string& function, std::string_view inner = "") {
  install_backtrace_handler();
  const auto frames = frames_in(thread, function, inner);
  if (!frames && kMayDefer) {
    CHECK(frames.error().id == "core.thread_takes_no_signals");
    return;
  }
  REQUIRE_MESSAGE(frames.has_value(), frames.error().message);
  INFO(to_text(*frames));
  CHECK(find(*frames, inner) != nullptr);
  CHECK(find(*frames, "backtrace_signal") == nullptr);
  const Frame* const found = find(*frames, function);
  REQUIRE(found != nullptr);
  CHECK(found->function.starts_with(function + "("));
  CHECK(found->file == "unit_test");
  CHECK(found->source.ends_with("backtrace_test.cpp"));
  CHECK(found->line > 0);
  CHECK(found->offset != 0);
  // The thread's root comes last: nothing is cut off.
  CHECK(find(*frames, "clone") != nullptr);
}

TEST_CASE("a thread in a system call shows who called it, and the call goes on") {
  const Pipe pipe;
  ssize_t got = -1;
  Standing standing([&] { stands::in_a_system_call(pipe.out(), got); }, [&] { pipe.put(); });
  check_stands_in(standing.id(), "stands::in_a_system_call", "read");
  standing.finish();
  CHECK(got == 1);
}

TEST_CASE("a thread in a loop shows its function") {
  std::atomic<bool> released{false};
  std::uint64_t rounds = 0;
  const Standing standing([&] { stands::in_a_loop(released, rounds); }, [&] { released = true; });
  check_stands_in(standing.id(), "stands::in_a_loop");
}

TEST_CASE("a thread that waits for a mutex shows who wants it") {
  std::mutex mutex;
  bool had = false;
  mutex.lock();
  Standing standing([&] { stands::in_a_mutex(mutex, had); }, [&] { mutex.unlock(); });
  check_stands_in(standing.id(), "stands::in_a_mutex", "lock");
  standing.finish();
  CHECK(had);
}

TEST_CASE("a thread that waits for a condition shows who waits") {
  std::mutex mutex;
  std::condition_variable changed;
  bool released = false;
  const Standing standing([&] { stands::in_a_condition(mutex, changed, released); },
                          [&] {
                            const std::lock_guard lock(mutex);
                            released = true;
                            changed.notify_all();
                          });
  check_stands_in(standing.id(), "stands::in_a_condition", "wait");
}

TEST_CASE("a thread may ask for its own stack") {
  install_backtrace_handler();
  const auto frames = backtrace_of(own_id(), kPatience);
  if (!frames && kMayDefer) return;
  REQUIRE_MESSAGE(frames.has_value(), frames.error().message);
  CHECK(find(*frames, "sonicorn::core::backtrace_of") != nullptr);
  CHECK(find(*frames, "main") != nullptr);
}

TEST_CASE("a thread that has the signal blocked is an error, and answers late to nobody") {
  install_backtrace_handler();
  const Pipe unblock;
  const Pipe pipe;
  const Pipe other;
  ssize_t got = -1;
  ssize_t other_got = -1;
  std::promise<void> blocked;
  std::promise<void> unblocked;
  Standing standing(
      [&] {
        sigset_t set;
        ::sigemptyset(&set);
        ::sigaddset(&set, backtrace_signal());
        ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
        blocked.set_value();
        stands::in_a_system_call(unblock.out(), got);
        // What is pending is delivered before this returns.
        ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
        unblocked.set_value();
        stands::in_a_system_call(pipe.out(), got);
      },
      [&] {
        unblock.put();
        pipe.put();
      });
  blocked.get_future().get();
  for (int i = 0; i < 3; ++i) {
    const auto frames = backtrace_of(standing.id(), milliseconds(20));
    REQUIRE(frames.has_error());
    CHECK(frames.error().id == "core.thread_takes_no_signals");
    CHECK(frames.error().message.find("does not take signals: it has signal " +
                                      std::to_string(backtrace_signal()) + " blocked") !=
          std::string::npos);
  }
  const Standing another([&] { stands::in_a_system_call(other.out(), other_got); },
                         [&] { other.put(); });
  check_stands_in(another.id(), "stands::in_a_system_call", "read");
  unblock.put();
  unblocked.get_future().get();
  check_stands_in(another.id(), "stands::in_a_system_call", "read");
  check_stands_in(standing.id(), "stands::in_a_system_call", "read");
}

TEST_CASE("requests at the same time each get the thread that they asked for") {
  install_backtrace_handler();
  const Pipe pipe;
  ssize_t got = -1;
  std::mutex mutex;
  std::condition_variable changed;
  bool released = false;
  const Standing reader([&] { stands::in_a_system_call(pipe.out(), got); }, [&] { pipe.put(); });
  const Standing waiter([&] { stands::in_a_condition(mutex, changed, released); },
                        [&] {
                          const std::lock_guard lock(mutex);
                          released = true;
                          changed.notify_all();
                        });
  check_stands_in(reader.id(), "stands::in_a_system_call", "read");
  check_stands_in(waiter.id(), "stands::in_a_condition", "wait");
  std::atomic<int> right{0};
  std::atomic<int> refused{0};
  std::vector<std::thread> askers;
  for (int i = 0; i < 4; ++i) {
    askers.emplace_back([&, even = i % 2 == 0] {
      for (int round = 0; round < 5; ++round) {
        const auto frames = backtrace_of(even ? reader.id() : waiter.id(), kPatience);
        if (!frames) ++refused;
        if (!frames) continue;
        const bool in_reader = find(*frames, "stands::in_a_system_call") != nullptr;
        const bool in_waiter = find(*frames, "stands::in_a_condition") != nullptr;
        if (in_reader == even && in_waiter != even) ++right;
      }
    });
  }
  for (std::thread& asker : askers) asker.join();
  if (!kMayDefer) CHECK(refused == 0);
  CHECK(right == 20 - refused);
}

TEST_CASE("a thread that ended is an error") {
  install_backtrace_handler();
  Standing standing([] {}, [] {});
  standing.finish();
  const auto frames = backtrace_of(standing.id(), kPatience);
  REQUIRE(frames.has_error());
  CHECK(frames.error().id == "core.no_such_thread");
}

TEST_CASE("a signal that nobody asked for does nothing") {
  install_backtrace_handler();
  install_backtrace_handler();
  CHECK(::raise(backtrace_signal()) == 0);
  CHECK(backtrace_signal() > SIGRTMIN);
  CHECK(backtrace_signal() < SIGRTMAX);
}

TEST_CASE("a handler that was replaced is an error, and may be installed again") {
  install_backtrace_handler();
  struct sigaction ours {};
  struct sigaction ignored {};
  REQUIRE(::sigaction(backtrace_signal(), nullptr, &ours) == 0);
  CHECK((ours.sa_flags & (SA_RESTART | SA_ONSTACK)) == (SA_RESTART | SA_ONSTACK));
  ignored.sa_handler = SIG_IGN;
  REQUIRE(::sigaction(backtrace_signal(), &ignored, nullptr) == 0);
  const auto frames = backtrace_of(own_id(), kPatience);
  REQUIRE(frames.has_error());
  CHECK(frames.error().id == "core.no_backtrace_handler");
  install_backtrace_handler();
  const Pipe pipe;
  ssize_t got = -1;
  const Standing standing([&] { stands::in_a_system_call(pipe.out(), got); }, [&] { pipe.put(); });
  check_stands_in(standing.id(), "stands::in_a_system_call");
}

TEST_CASE("a frame is a line, with what is known of it") {
  const std::vector<Frame> frames{{"f(int)", "app.so", 0x1a2b, "src/app.cpp", 7},
                                  {"g()", "app.so", 0x10, "", 0},
                                  {"", "libc.so.6", 0x20, "", 0},
                                  {"", "", 0x7f00, "", 0}};
  CHECK(to_text(frames) ==
        "  #0 f(int) at src/app.cpp:7 (app.so+0x1a2b)\n"
        "  #1 g() (app.so+0x10)\n"
        "  #2 ?? (libc.so.6+0x20)\n"
        "  #3 ?? (0x7f00)\n");
  CHECK(to_lines(frames).at(1) == "#1 g() (app.so+0x10)");
  CHECK(to_text({}).empty());
}

}  // namespace
}  // namespace sonicorn::core
