#include "conformance/observer.hpp"

#include <fmt/format.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>

#include "app/signal_guard.hpp"
#include "conformance/process_state.hpp"
#include "core/backtrace.hpp"

namespace sonicorn::conformance {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kPatience{2'000};  // for a thread to say where it is
constexpr std::size_t kMostThreads = 8;
constexpr std::size_t kMostFrames = 24;

// How long a crashed thread waits for its report, which may itself be stuck: it needs memory, and
// the crash may have been in malloc.
constexpr time_t kTimeToReport = 10;  // seconds

Observer* only = nullptr;  // for the signal handler

timespec after_seconds(time_t seconds) {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  time.tv_sec += seconds;
  return time;
}

void wait_until(sem_t& semaphore, const timespec& time) {
  while (::sem_clockwait(&semaphore, CLOCK_MONOTONIC, &time) != 0 && errno == EINTR) continue;
}

// Drops the frames of the handler that holds a crashed thread, and of the kernel's call of it.
void drop_handler(std::vector<core::Frame>& frames) {
  const auto handler = std::find_if(frames.begin(), frames.end(), [](const core::Frame& frame) {
    return frame.function.find("Observer::on_crash") != std::string::npos;
  });
  if (handler == frames.end()) return;
  // The kernel calls through a function of libc, __restore_rt, that not every libc names.
  frames.erase(frames.begin(), std::min(handler + 2, frames.end()));
}

// Drops what called the app, the server's own frames and those that begin a thread, unless there is
// nothing else.
void drop_callers(std::vector<core::Frame>& frames) {
  const std::string server = std::filesystem::read_symlink("/proc/self/exe").filename();
  const auto is_of_app = [&](const core::Frame& frame) {
    return frame.file != server && !frame.file.starts_with("libc.so") &&
           !frame.file.starts_with("libstdc++.so");
  };
  const auto last = std::find_if(frames.rbegin(), frames.rend(), is_of_app);
  if (last != frames.rend()) frames.erase(last.base(), frames.end());
}

}  // namespace

Observer::Observer(int answer, unsigned runs)
    : answer_(answer),
      runs_(runs),
      main_(::gettid()),
      deadline_(Clock::time_point::max().time_since_epoch().count()) {
  ::sem_init(&woken_, 0, 0);
  ::sem_init(&told_, 0, 0);
  only = this;
  take_crash_signals();
  thread_ = std::thread([this] { watch(); });
}

void Observer::take_crash_signals() {
  struct sigaction action {};
  action.sa_handler = &Observer::on_crash;
  action.sa_flags = SA_ONSTACK;
  ::sigemptyset(&action.sa_mask);
  for (const int signal : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS}) {
    ::sigaction(signal, &action, nullptr);
  }
}

// Async-signal-safe. Holds the thread that crashed until the observer has asked it where it is.
void Observer::on_crash(int signal) {
  Observer& self = *only;
  pid_t nobody = 0;
  if (self.crashed_.compare_exchange_strong(nobody, ::gettid())) {
    self.signal_ = signal;
    ::sem_post(&self.woken_);
  }
  const timespec until = after_seconds(kTimeToReport);
  wait_until(self.told_, until);
  ::sem_post(&self.told_);  // others may have crashed, too
  struct sigaction action {};
  action.sa_handler = SIG_DFL;
  ::sigaction(signal, &action, nullptr);
  ::raise(signal);
}

void Observer::enter(const char* step, milliseconds limit, pid_t who) {
  deadline_ = (Clock::now() + limit).time_since_epoch().count();
  limit_ = limit.count();
  step_ = step;
  who_ = who;
  write({.kind = Message::Kind::step, .step = step, .run = run_, .finding = {}});
  // It may sleep towards a later time.
  ::sem_post(&woken_);
}

void Observer::report(const Finding& finding) {
  {
    const std::lock_guard lock(writing_);
    if (!told_before_.insert(finding.id + finding.message).second) return;
  }
  write({.kind = Message::Kind::finding, .step = {}, .run = 0, .finding = finding});
}

void Observer::end() {
  write({.kind = Message::Kind::done, .step = {}, .run = 0, .finding = {}});
  ::_exit(EXIT_SUCCESS);
}

std::string Observer::which_run() const {
  return runs_ > 1 ? fmt::format(" in run {}", run_.load()) : std::string();
}

void Observer::write(const Message& message) {
  const std::string line = to_json(message);
  const std::lock_guard lock(writing_);
  std::string_view left = line;
  while (!left.empty()) {
    const ssize_t done = ::write(answer_, left.data(), left.size());
    if (done < 0 && errno == EINTR) continue;
    if (done <= 0) return;
    left.remove_prefix(static_cast<std::size_t>(done));
  }
}

std::vector<std::string> Observer::place_of(pid_t thread) {
  std::vector<std::string> lines = {fmt::format("thread {} ({})", name_of_thread(thread), thread)};
  auto frames = core::backtrace_of(thread, kPatience);
  if (!frames) {
    lines.push_back(frames.error().message);
    return lines;
  }
  drop_handler(*frames);
  drop_callers(*frames);
  if (frames->size() > kMostFrames) frames->resize(kMostFrames);
  for (std::string& line : core::to_lines(*frames)) lines.push_back(std::move(line));
  return lines;
}

void Observer::watch() {
  ::pthread_setname_np(::pthread_self(), "check-observer");
  own_ = ::gettid();
  for (;;) {
    const Clock::time_point deadline{Clock::duration(deadline_.load())};
    const auto now = Clock::now();
    if (signal_ != 0) report_crash();
    if (now >= deadline) report_hang();
    const auto left = std::chrono::ceil<std::chrono::seconds>(
        std::min<Clock::duration>(deadline - now, std::chrono::hours(1)));
    timespec until = after_seconds(0);
    // Sleeping a little too long does no harm.
    until.tv_sec += left.count();
    wait_until(woken_, until);
  }
}

void Observer::report_crash() {
  const pid_t thread = crashed_;
  const std::string step = step_.load();
  report(
      {.id = "check.crash",
       .level = Level::error,
       .message = fmt::format("the app crashed ({}) in {}{}", app::signal_name(signal_), step,
                              which_run()),
       .remedy = "mend what the lines below lead to; a build with -g names source and line there",
       .where = place_of(thread)});
  ::sem_post(&told_);
  // The signal now does what it always does, and the parent sees that.
  for (;;) ::pause();
}

void Observer::report_hang() {
  const std::string step = step_.load();
  std::vector<std::string> where;
  if (const pid_t who = who_; who != 0) {
    where = place_of(who);
  } else {
    std::size_t count = 0;
    for (const pid_t thread : threads()) {
      if (thread == own_ || thread == main_ || name_of_thread(thread) == "watchdog") continue;
      if (++count > kMostThreads) break;
      const auto lines = place_of(thread);
      where.insert(where.end(), lines.begin(), lines.end());
    }
  }
  report({.id = "check.hang",
          .level = Level::error,
          .message = fmt::format("{} did not return within {:g} s{}", step,
                                 static_cast<double>(limit_) / 1000, which_run()),
          .remedy = "let it return: what takes long belongs on a background thread (background/1), "
                    "and what waits for others needs a limit; or give it more --time-limit",
          .where = std::move(where)});
  ::_exit(EXIT_FAILURE);
}

}  // namespace sonicorn::conformance
