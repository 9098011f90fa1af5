#include "support/process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

// glibc 2.36 declares these functions for C alone.
extern "C" {
#include <sys/pidfd.h>
}

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <stdexcept>
#include <system_error>

namespace support {
namespace {

std::system_error failure(const char* what) { return {errno, std::generic_category(), what}; }

// Holds signals back, so that none reaches doctest's handlers in a child before it is somebody
// else.
class NoSignals {
 public:
  NoSignals() {
    sigset_t all;
    sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~NoSignals() { ::pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  NoSignals(const NoSignals&) = delete;
  NoSignals& operator=(const NoSignals&) = delete;

  const sigset_t& before() const { return before_; }

 private:
  sigset_t before_{};
};

// Only calls that are allowed between fork and exec in a program with threads.
[[noreturn]] void become(char* const* arguments, char* const* environment, const char* directory,
                         pid_t parent, int output, int errors, const sigset_t& signals) {
  for (const int number : {SIGTERM, SIGINT, SIGABRT, SIGSEGV, SIGILL, SIGFPE}) {
    ::signal(number, SIG_DFL);
  }
  ::sigprocmask(SIG_SETMASK, &signals, nullptr);
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(126);
  const int nothing = ::open("/dev/null", O_RDONLY);
  if (nothing < 0) ::_exit(126);
  if (nothing != STDIN_FILENO) {
    ::dup2(nothing, STDIN_FILENO);
    ::close(nothing);
  }
  ::dup2(output, STDOUT_FILENO);
  ::dup2(errors, STDERR_FILENO);
  if (directory[0] != '\0' && ::chdir(directory) != 0) ::_exit(126);
  ::execve(arguments[0], arguments, environment);
  ::_exit(127);
}

std::vector<std::string> merged_environment(const Process::Environment& changes) {
  std::vector<std::string> merged;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view text = *entry;
    bool replaced = false;
    for (const auto& [name, value] : changes) replaced |= text.starts_with(name + "=");
    if (!replaced) merged.emplace_back(text);
  }
  for (const auto& [name, value] : changes) merged.push_back(name + "=" + value);
  return merged;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> result;
  for (std::string& text : texts) result.push_back(text.data());
  result.push_back(nullptr);
  return result;
}

}  // namespace

Process::Process(std::vector<std::string> arguments, const Environment& environment,
                 const std::filesystem::path& directory) {
  auto variables = merged_environment(environment);
  const auto argument_pointers = pointers(arguments);
  const auto variable_pointers = pointers(variables);
  int output[2];
  int errors[2];
  if (::pipe2(output, O_CLOEXEC) != 0 || ::pipe2(errors, O_CLOEXEC) != 0) throw failure("pipe2");
  const pid_t parent = ::getpid();
  {
    const NoSignals held_back;
    id_ = ::fork();
    if (id_ == 0) {
      become(argument_pointers.data(), variable_pointers.data(), directory.c_str(), parent,
             output[1], errors[1], held_back.before());
    }
  }
  if (id_ < 0) throw failure("fork");
  ::close(output[1]);
  ::close(errors[1]);
  output_.fd = output[0];
  errors_.fd = errors[0];
  pidfd_ = ::pidfd_open(id_, 0);
  stop_ = ::eventfd(0, EFD_CLOEXEC);
  if (pidfd_ < 0 || stop_ < 0) throw failure("pidfd_open");
  collector_ = std::thread([this] { collect(); });
}

Process::~Process() {
  if (!ending_) {
    send_signal(SIGKILL);
    wait(kPatience);
  }
  ::eventfd_write(stop_, 1);
  collector_.join();
  ::close(stop_);
  ::close(output_.fd);
  ::close(errors_.fd);
  ::close(pidfd_);
}

void Process::send_signal(int signal) const {
  if (::pidfd_send_signal(pidfd_, signal, nullptr, 0) != 0 && errno != ESRCH) {
    throw failure("pidfd_send_signal");
  }
}

std::optional<Ending> Process::wait(std::chrono::milliseconds limit) {
  if (ending_) return ending_;
  pollfd ended{pidfd_, POLLIN, 0};
  if (::poll(&ended, 1, static_cast<int>(limit.count())) <= 0) return std::nullopt;
  int status = 0;
  if (::waitpid(id_, &status, 0) != id_) throw failure("waitpid");
  ending_ = WIFEXITED(status) ? Ending{WEXITSTATUS(status), 0} : Ending{-1, WTERMSIG(status)};
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, kPatience, [this] { return !output_.open && !errors_.open; });
  return ending_;
}

std::string Process::output() const {
  const std::scoped_lock lock(mutex_);
  return output_.text;
}

std::string Process::errors() const {
  const std::scoped_lock lock(mutex_);
  return errors_.text;
}

bool Process::wait_for_errors(std::string_view text, std::chrono::milliseconds limit) const {
  std::unique_lock lock(mutex_);
  const auto found = [&] { return errors_.text.find(text) != std::string::npos; };
  changed_.wait_for(lock, limit, [&] { return found() || !errors_.open; });
  return found();
}

void Process::collect() {
  while (output_.open || errors_.open) {
    pollfd readable[3] = {{output_.open ? output_.fd : -1, POLLIN, 0},
                          {errors_.open ? errors_.fd : -1, POLLIN, 0},
                          {stop_, POLLIN, 0}};
    if (::poll(readable, 3, -1) < 0) continue;
    if (readable[2].revents != 0) return;
    Stream* const streams[2] = {&output_, &errors_};
    for (int i = 0; i < 2; ++i) {
      if (readable[i].revents == 0) continue;
      char buffer[4096];
      const ssize_t count = ::read(streams[i]->fd, buffer, sizeof buffer);
      const std::scoped_lock lock(mutex_);
      if (count > 0) {
        streams[i]->text.append(buffer, static_cast<std::size_t>(count));
      } else if (count == 0 || errno != EINTR) {
        streams[i]->open = false;
      }
      changed_.notify_all();
    }
  }
}

std::string stat_of(pid_t process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/stat");
  std::string line;
  std::getline(file, line);
  return line;
}

bool lives(pid_t process) {
  const std::string status = stat_of(process);
  return !status.empty() && status.find(") Z ") == std::string::npos;
}

bool reported_by_sanitizer(const std::string& log) {
  return log.find("Sanitizer") != std::string::npos ||
         log.find("runtime error:") != std::string::npos;
}

Outcome run_sonicorn(std::vector<std::string> arguments, const Process::Environment& environment) {
  arguments.insert(arguments.begin(), executable());
  std::string command;
  for (const auto& argument : arguments) command += argument + " ";
  Process process(std::move(arguments), environment);
  const auto ending = process.wait();
  if (!ending)
    throw std::runtime_error("did not end in time: " + command + "\n" + process.errors());
  if (reported_by_sanitizer(process.errors())) {
    throw std::runtime_error(command + "\n" + process.errors());
  }
  return {*ending, process.output(), process.errors()};
}

}  // namespace support
