#include "conformance/child_process.hpp"

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
#include <system_error>
#include <utility>

#include "core/descriptor.hpp"

namespace sonicorn::conformance {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kLongestLine = 1 << 20;
constexpr std::size_t kErrorsKept = 4 * 1024;

core::Error not_run(const std::filesystem::path& executable, std::string_view step, int error) {
  return core::host_error(
      "host.child_not_run",
      fmt::format("{}: a child cannot be run, because {} failed ({}); see that the server's "
                  "executable is in place and that processes and descriptors are left",
                  executable.string(), step, std::generic_category().message(error)));
}

// A pipe of which this process reads without blocking.
struct Pipe {
  core::Descriptor reading;
  core::Descriptor writing;

  // 0 or an errno value.
  int open() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return errno;
    reading = core::Descriptor(ends[0]);
    writing = core::Descriptor(ends[1]);
    return ::fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0 ? 0 : errno;
  }

  // Gives what there is to `use`; closes at the end.
  template <class Use>
  void read(Use use) {
    char buffer[8192];
    while (reading.number() >= 0) {
      const ssize_t got = ::read(reading.number(), buffer, sizeof(buffer));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0 && errno == EAGAIN) return;
      if (got <= 0) return reading.close();
      use(std::string_view(buffer, static_cast<std::size_t>(got)));
    }
  }
};

int spawn(const std::filesystem::path& executable, std::vector<std::string> arguments, int output,
          int errors, pid_t& child) {
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO);
  ::posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_addclosefrom_np(&actions, STDERR_FILENO + 1);
  posix_spawnattr_t attributes;
  ::posix_spawnattr_init(&attributes);
  sigset_t set;
  ::sigemptyset(&set);
  ::posix_spawnattr_setsigmask(&attributes, &set);
  ::sigfillset(&set);
  ::posix_spawnattr_setsigdefault(&attributes, &set);
  ::posix_spawnattr_setpgroup(&attributes, 0);
  ::posix_spawnattr_setflags(
      &attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  arguments.insert(arguments.begin(), executable.string());
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  const int error =
      ::posix_spawn(&child, executable.c_str(), &actions, &attributes, argv.data(), environ);
  ::posix_spawnattr_destroy(&attributes);
  ::posix_spawn_file_actions_destroy(&actions);
  return error;
}

// One running child; kills and reaps it in the end whatever happens.
class Child {
 public:
  Child(pid_t id, Pipe output, Pipe errors, const std::function<void(std::string_view)>& on_line)
      : id_(id), output_(std::move(output)), errors_(std::move(errors)), on_line_(on_line) {}
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  ~Child() {
    if (id_ > 0) kill();
  }

  // False when it was silent for too long.
  bool wait(std::chrono::milliseconds patience) {
    const core::Descriptor process(static_cast<int>(::syscall(SYS_pidfd_open, id_, 0)));
    // Without process descriptors (Valgrind, containers that forbid them) the end is looked for at
    // intervals.
    const bool blind = process.number() < 0;
    const long longest_wait = blind ? 10 : 60'000;
    auto deadline = Clock::now() + patience;
    for (;;) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
      if (left.count() <= 0) return false;
      pollfd events[] = {{process.number(), POLLIN, 0},
                         {output_.reading.number(), POLLIN, 0},
                         {errors_.reading.number(), POLLIN, 0}};
      const int ready =
          ::poll(events, 3, static_cast<int>(std::min<long>(left.count(), longest_wait)));
      if (ready < 0 && errno != EINTR) return false;
      if (read()) deadline = Clock::now() + patience;
      if (blind ? has_ended() : ready > 0 && events[0].revents != 0) {
        read();
        return true;
      }
    }
  }

  // Kills what is left of the child and of its children, and returns its wait status.
  int kill() {
    // The group first and the reaping last: until then nobody else can get this id.
    ::kill(-id_, SIGKILL);
    ::kill(id_, SIGKILL);
    int status = 0;
    while (::waitpid(id_, &status, 0) < 0 && errno == EINTR) {
    }
    id_ = -1;
    return status;
  }

  std::string take_errors() { return std::move(error_text_); }

 private:
  bool has_ended() const {
    siginfo_t info{};
    return ::waitid(P_PID, static_cast<id_t>(id_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == id_;
  }

  // Whether there was a line.
  bool read() {
    errors_.read([this](std::string_view bytes) {
      error_text_ += bytes;
      if (error_text_.size() > 2 * kErrorsKept) {
        error_text_.erase(0, error_text_.size() - kErrorsKept);
      }
    });
    bool any = false;
    output_.read([&](std::string_view bytes) {
      line_ += bytes;
      std::size_t begin = 0;
      for (std::size_t end; (end = line_.find('\n', begin)) != std::string::npos; begin = end + 1) {
        any = true;
        on_line_(std::string_view(line_).substr(begin, end - begin));
      }
      line_.erase(0, begin);
      if (line_.size() > kLongestLine) line_.clear();
    });
    return any;
  }

  pid_t id_;
  Pipe output_;
  Pipe errors_;
  const std::function<void(std::string_view)>& on_line_;
  std::string line_;
  std::string error_text_;
};

}  // namespace

core::Result<ChildEnd> run_child(const std::filesystem::path& executable,
                                 const std::vector<std::string>& arguments,
                                 std::chrono::milliseconds patience,
                                 const std::function<void(std::string_view line)>& on_line) {
  Pipe output;
  Pipe errors;
  for (Pipe* const pipe : {&output, &errors}) {
    if (const int error = pipe->open(); error != 0) return not_run(executable, "pipe", error);
  }
  pid_t id = -1;
  const int error =
      spawn(executable, arguments, output.writing.number(), errors.writing.number(), id);
  if (error != 0) return not_run(executable, "starting it", error);
  output.writing.close();
  errors.writing.close();

  Child child(id, std::move(output), std::move(errors), on_line);
  ChildEnd end;
  end.timed_out = !child.wait(patience);
  const int status = child.kill();
  end.errors = child.take_errors();
  if (WIFSIGNALED(status)) {
    end.signal = WTERMSIG(status);
  } else {
    end.exit_status = WEXITSTATUS(status);
  }
  return end;
}

}  // namespace sonicorn::conformance
