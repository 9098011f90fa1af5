#include "process/child.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <pthread.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <deque>
#include <exception>
#include <filesystem>
#include <mutex>
#include <optional>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace sonicorn::process {
namespace {

// Which descriptors the child has, in the order in which they are made.
class FileActions {
 public:
  explicit FileActions(const SpawnRequest& request) {
    ::posix_spawn_file_actions_init(&actions_);
    if (request.input >= 0) {
      ::posix_spawn_file_actions_adddup2(&actions_, request.input, STDIN_FILENO);
    } else {
      ::posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    }
    if (request.output >= 0) {
      ::posix_spawn_file_actions_adddup2(&actions_, request.output, STDOUT_FILENO);
    }
    if (request.errors >= 0) {
      ::posix_spawn_file_actions_adddup2(&actions_, request.errors, STDERR_FILENO);
    }
    std::vector<int> kept = request.inherited;
    std::sort(kept.begin(), kept.end());
    // What this process has inherited itself is not always closed on exec, so all else is closed.
    int next = STDERR_FILENO + 1;
    for (const int descriptor : kept) {
      for (; next < descriptor; ++next) ::posix_spawn_file_actions_addclose(&actions_, next);
      // Onto itself: keeps it open on exec.
      ::posix_spawn_file_actions_adddup2(&actions_, descriptor, descriptor);
      next = descriptor + 1;
    }
    ::posix_spawn_file_actions_addclosefrom_np(&actions_, next);
  }
  FileActions(const FileActions&) = delete;
  FileActions& operator=(const FileActions&) = delete;
  ~FileActions() { ::posix_spawn_file_actions_destroy(&actions_); }

  const posix_spawn_file_actions_t* get() const { return &actions_; }

 private:
  posix_spawn_file_actions_t actions_;
};

class Attributes {
 public:
  Attributes() {
    ::posix_spawnattr_init(&attributes_);
    sigset_t signals;
    ::sigemptyset(&signals);
    ::posix_spawnattr_setsigmask(&attributes_, &signals);
    ::sigfillset(&signals);
    ::posix_spawnattr_setsigdefault(&attributes_, &signals);
    ::posix_spawnattr_setpgroup(&attributes_, 0);
    ::posix_spawnattr_setflags(
        &attributes_, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  }
  Attributes(const Attributes&) = delete;
  Attributes& operator=(const Attributes&) = delete;
  ~Attributes() { ::posix_spawnattr_destroy(&attributes_); }

  const posix_spawnattr_t* get() const { return &attributes_; }

 private:
  posix_spawnattr_t attributes_;
};

std::vector<std::string> environment_with(
    const std::vector<std::pair<std::string, std::string>>& added) {
  std::vector<std::string> all;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const std::string_view name = text.substr(0, text.find('='));
    const bool replaced = std::any_of(added.begin(), added.end(),
                                      [name](const auto& each) { return each.first == name; });
    if (!replaced) all.emplace_back(text);
  }
  for (const auto& [name, value] : added) all.push_back(fmt::format("{}={}", name, value));
  return all;
}

// `texts` must outlive the result.
std::vector<char*> as_pointers(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

// A child that has ended, which stays on the kernel's list, and its status as of wait(2); 0: none.
std::pair<pid_t, std::optional<int>> status_of_ended(idtype_t type, pid_t child) {
  siginfo_t info{};
  while (::waitid(type, static_cast<id_t>(child), &info, WEXITED | WNOHANG | WNOWAIT) != 0) {
    if (errno != EINTR) return {0, std::nullopt};
  }
  if (info.si_pid == 0) return {0, std::nullopt};
  constexpr int kCoreDumped = 0x80;
  const int status = info.si_code == CLD_EXITED   ? (info.si_status & 0xff) << 8
                     : info.si_code == CLD_DUMPED ? info.si_status | kCoreDumped
                                                  : info.si_status;
  return {info.si_pid, status};
}

}  // namespace

core::Result<pid_t> Children::spawn(const SpawnRequest& request) {
  const FileActions actions(request);
  const Attributes attributes;
  std::vector<std::string> arguments = request.argv;
  std::vector<std::string> environment = environment_with(request.environment);
  const std::string& file = request.file.empty() ? request.argv.front() : request.file;
  pid_t child = -1;
  const int error = ::posix_spawnp(&child, file.c_str(), actions.get(), attributes.get(),
                                   as_pointers(arguments).data(), as_pointers(environment).data());
  if (error == 0) return child;
  if (error == ENOENT && file.find('/') == std::string::npos) {
    return core::host_error(
        "host.child_not_run",
        fmt::format("{}: there is no such program in PATH; install it, or add its folder to PATH",
                    file));
  }
  return core::host_error(
      "host.child_not_run",
      fmt::format("{}: it cannot be run ({}); see that the file is there and executable, and that "
                  "processes and descriptors are left",
                  file, std::generic_category().message(error)));
}

void Children::watch(pid_t child, OnEnd on_end) { watched_[child] = std::move(on_end); }

void Children::forget(pid_t child) { watched_.erase(child); }

void Children::kill_all() const {
  for (const auto& [child, on_end] : watched_) ::kill(-child, SIGKILL);
}

// Takes ended children off the kernel's list, in the order in which they are given to it.
class Children::Reaper {
 public:
  // Throws std::system_error when there can be no thread.
  Reaper() {
    sigset_t all;
    sigset_t before;
    ::sigfillset(&all);
    // Signals are for the thread that reads them.
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
      thread_ = std::thread([this] { run(); });
    } catch (...) {
      ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
      throw;
    }
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  ~Reaper() {
    {
      const std::lock_guard lock(mutex_);
      ending_ = true;
    }
    changed_.notify_one();
    thread_.join();
  }
  Reaper(const Reaper&) = delete;
  Reaper& operator=(const Reaper&) = delete;

  void take_off(pid_t child) {
    {
      const std::lock_guard lock(mutex_);
      ended_.push_back(child);
    }
    changed_.notify_one();
  }

  bool has(pid_t child) {
    const std::lock_guard lock(mutex_);
    return std::find(ended_.begin(), ended_.end(), child) != ended_.end();
  }

 private:
  void run() {
    ::pthread_setname_np(::pthread_self(), "reaper");
    std::unique_lock lock(mutex_);
    for (;;) {
      changed_.wait(lock, [this] { return ending_ || !ended_.empty(); });
      if (ended_.empty()) return;
      const pid_t child = ended_.front();
      lock.unlock();
      while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) continue;
      lock.lock();
      ended_.pop_front();
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<pid_t> ended_;
  bool ending_ = false;
  std::thread thread_;
};

Children::Children() = default;
Children::~Children() = default;

void Children::take_off(pid_t child) {
  try {
    if (reaper_ == nullptr) reaper_ = std::make_unique<Reaper>();
    reaper_->take_off(child);
  } catch (const std::exception&) {
    while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) continue;
  }
}

void Children::reap() {
  std::vector<pid_t> watched;
  for (const auto& [child, on_end] : watched_) watched.push_back(child);
  for (const pid_t child : watched) {
    if (watched_.count(child) == 0) continue;  // forgotten meanwhile
    const std::optional<int> status = status_of_ended(P_PID, child).second;
    if (!status) continue;
    auto ended = watched_.extract(child);
    take_off(child);
    if (ended.mapped()) ended.mapped()(*status);
  }
  // Those that nobody watches: forgotten ones, and orphans where this process is the first.
  for (;;) {
    const pid_t child = status_of_ended(P_ALL, 0).first;
    if (child == 0 || watched_.count(child) != 0) return;
    if (reaper_ != nullptr && reaper_->has(child)) return;
    while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) continue;
  }
}

std::string own_executable() {
  constexpr const char* kLink = "/proc/self/exe";
  std::error_code failure;
  const std::string path = std::filesystem::read_symlink(kLink, failure).string();
  // So the kernel calls a file that has no name any more.
  return path.empty() || path.ends_with(" (deleted)") ? kLink : path;
}

}  // namespace sonicorn::process
