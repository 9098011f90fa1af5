#include "app/trial.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "app/trial_answer.hpp"
#include "core/descriptor.hpp"

namespace sonicorn::app {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

core::Error not_run(const fs::path& executable, std::string_view step, int error) {
  return core::host_error(
      "host.trial_failed",
      fmt::format(
          "{}: the trial load of an app cannot be run, because {} failed ({}); see that the "
          "server's executable is in place and that processes and descriptors are left",
          executable.string(), step, std::generic_category().message(error)));
}

// How the child is started: default signals, a process group of its own, nothing open but the three
// standard descriptors.
class SpawnPlan {
 public:
  explicit SpawnPlan(int answer) {
    ::posix_spawn_file_actions_init(&actions_);
    ::posix_spawn_file_actions_adddup2(&actions_, answer, STDOUT_FILENO);
    ::posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    ::posix_spawn_file_actions_addclosefrom_np(&actions_, STDERR_FILENO + 1);
    ::posix_spawnattr_init(&attributes_);
    sigset_t set;
    ::sigemptyset(&set);
    ::posix_spawnattr_setsigmask(&attributes_, &set);
    ::sigfillset(&set);
    ::posix_spawnattr_setsigdefault(&attributes_, &set);
    ::posix_spawnattr_setpgroup(&attributes_, 0);
    ::posix_spawnattr_setflags(
        &attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  }
  SpawnPlan(const SpawnPlan&) = delete;
  SpawnPlan& operator=(const SpawnPlan&) = delete;
  ~SpawnPlan() {
    ::posix_spawnattr_destroy(&attributes_);
    ::posix_spawn_file_actions_destroy(&actions_);
  }

  // An errno value, or 0 and the child's id.
  int run(const fs::path& executable, const fs::path& copy, const fs::path& original,
          pid_t& child) const {
    const std::string variable = std::string(trial::kOriginalVariable) + "=";
    std::string file = variable + original.string();
    std::vector<char*> environment;
    for (char** entry = environ; *entry != nullptr; ++entry) {
      if (!std::string_view(*entry).starts_with(variable)) environment.push_back(*entry);
    }
    environment.push_back(file.data());
    environment.push_back(nullptr);
    std::string arguments[] = {executable.string(), "trial-load", copy.string()};
    char* argv[] = {arguments[0].data(), arguments[1].data(), arguments[2].data(), nullptr};
    return ::posix_spawn(&child, executable.c_str(), &actions_, &attributes_, argv,
                         environment.data());
  }

 private:
  posix_spawn_file_actions_t actions_{};
  posix_spawnattr_t attributes_{};
};

// One running trial; kills and reaps it in the end whatever happens.
class Trial {
 public:
  Trial(pid_t child, core::Descriptor answer) : child_(child), answer_(std::move(answer)) {}
  Trial(const Trial&) = delete;
  Trial& operator=(const Trial&) = delete;
  ~Trial() {
    if (child_ > 0) end();
  }

  // Waits for the child's end: 0, ETIMEDOUT or another errno value.
  int wait_until(Clock::time_point deadline) {
    const core::Descriptor process(static_cast<int>(::syscall(SYS_pidfd_open, child_, 0)));
    // Without process descriptors (Valgrind, Linux before 5.3, containers that forbid them) the end
    // is looked for at intervals.
    const bool blind = process.number() < 0;
    const long longest_wait = blind ? 10 : 60'000;
    while (true) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
      if (left.count() <= 0) return ETIMEDOUT;
      pollfd events[] = {{process.number(), POLLIN, 0}, {answer_.number(), POLLIN, 0}};
      const int ready =
          ::poll(events, 2, static_cast<int>(std::min<long>(left.count(), longest_wait)));
      if (ready < 0 && errno != EINTR) return errno;
      if (ready > 0 && events[1].revents != 0) read_answer();
      if (blind ? has_ended() : ready > 0 && events[0].revents != 0) {
        read_answer();
        return 0;
      }
    }
  }

  // Whether the child has ended; it stays to be reaped.
  bool has_ended() const {
    siginfo_t info{};
    return ::waitid(P_PID, static_cast<id_t>(child_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == child_;
  }

  // Kills what is left of the child and of its children, and returns its wait status.
  int end() {
    // The group first and the reaping last: until then nobody else can get this id.
    ::kill(-child_, SIGKILL);
    ::kill(child_, SIGKILL);
    int status = 0;
    while (::waitpid(child_, &status, 0) < 0 && errno == EINTR) {
    }
    child_ = -1;
    return status;
  }

  const std::string& answer() const { return text_; }

 private:
  void read_answer() {
    constexpr std::size_t kLongest = 16 * 1024;
    char buffer[4096];
    while (answer_.number() >= 0) {
      const ssize_t got = ::read(answer_.number(), buffer, sizeof(buffer));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0 && errno == EAGAIN) return;
      if (got <= 0) return answer_.close();
      const auto room = kLongest - std::min(kLongest, text_.size());
      text_.append(buffer, std::min(room, static_cast<std::size_t>(got)));
    }
  }

  pid_t child_;
  core::Descriptor answer_;
  std::string text_;
};

std::string shown(std::chrono::milliseconds time) {
  return time.count() % 1000 == 0 ? fmt::format("{} s", time.count() / 1000)
                                  : fmt::format("{} ms", time.count());
}

core::Error ended_by_signal(int number, const std::string& file, const fs::path& original,
                            const fs::path& executable) {
  const char* const short_name = ::sigabbrev_np(number);
  const std::string signal =
      short_name == nullptr ? fmt::format("signal {}", number) : fmt::format("SIG{}", short_name);
  const bool crash = number == SIGSEGV || number == SIGBUS || number == SIGILL ||
                     number == SIGFPE || number == SIGABRT || number == SIGTRAP || number == SIGSYS;
  if (!crash) {
    return core::app_error(
        "app.constructor_crashed",
        fmt::format("{} was ended by {} while it was loaded: somebody else, or its "
                    "own code, sent that signal; try again",
                    file, signal));
  }
  return core::app_error(
      "app.constructor_crashed",
      fmt::format(
          "{} was ended by {} while it was loaded: a constructor of a static object crashed; "
          "see where with gdb --args {} trial-load {}",
          file, signal, executable.string(), original.string()));
}

}  // namespace

core::Result<void> trial_verdict(int status, std::string_view answer, const fs::path& executable,
                                 const fs::path& original) {
  const std::string file = original.filename().string();
  if (WIFSIGNALED(status)) {
    return ended_by_signal(WTERMSIG(status), file, original, executable);
  }
  if (answer == trial::kLoaded && WEXITSTATUS(status) == 0) return {};
  if (answer.starts_with(trial::kFailed)) {
    return core::app_error("app.load_failed", std::string(answer.substr(trial::kFailed.size())));
  }
  return core::app_error(
      "app.constructor_exits",
      fmt::format(
          "{} ended its process with exit status {} while it was loaded: a constructor of a "
          "static object calls exit; report failures from the attribute start instead",
          file, WEXITSTATUS(status)));
}

core::Error loads_too_long(const fs::path& original, std::chrono::milliseconds limit) {
  return core::app_error(
      "app.constructor_hangs",
      fmt::format(
          "{} did not finish loading within {}: a constructor of a static object hangs or is "
          "slow; do that work in the attribute start, or raise load_time",
          original.filename().string(), shown(limit)));
}

core::Result<void> trial_load(const fs::path& server_executable, const fs::path& private_copy,
                              const fs::path& original, std::chrono::milliseconds limit) {
  const Clock::time_point deadline = Clock::now() + limit;
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return not_run(server_executable, "pipe", errno);
  core::Descriptor reading(ends[0]);
  core::Descriptor writing(ends[1]);
  if (::fcntl(reading.number(), F_SETFL, O_NONBLOCK) != 0) {
    return not_run(server_executable, "fcntl", errno);
  }
  pid_t child = -1;
  const int error =
      SpawnPlan(writing.number()).run(server_executable, private_copy, original, child);
  if (error != 0) return not_run(server_executable, "starting the child", error);
  writing.close();

  Trial trial(child, std::move(reading));
  const int waited = trial.wait_until(deadline);
  const int status = trial.end();
  if (waited == ETIMEDOUT) {
    return loads_too_long(original, limit);
  }
  if (waited != 0) return not_run(server_executable, "waiting for the child", waited);
  return trial_verdict(status, trial.answer(), server_executable, original);
}

}  // namespace sonicorn::app
