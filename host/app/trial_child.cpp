#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <optional>
#include <string>

#include "app/inspection.hpp"
#include "app/module.hpp"
#include "app/trial.hpp"
#include "app/trial_answer.hpp"
#include "config/wording.hpp"
#include "core/descriptor.hpp"

namespace sonicorn::app {
namespace {

// Crashes here are expected: they end this process at once, leave no core file, and no sanitizer or
// other handler explains them.
void expect_crashes() {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  rlimit core{};
  if (::getrlimit(RLIMIT_CORE, &core) == 0) {
    // 1 byte, because 0 does not stop a kernel that pipes core dumps to a program (core(5)).
    core.rlim_cur = std::min<rlim_t>(1, core.rlim_max);
    ::setrlimit(RLIMIT_CORE, &core);
  }
  for (const int number : {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT, SIGTRAP, SIGSYS}) {
    std::signal(number, SIG_DFL);
  }
}

// Keeps standard output for the answer alone: what the app's constructors print goes to standard
// error.
int take_standard_output() {
  const int answer = ::fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
  if (::fcntl(STDERR_FILENO, F_GETFD) < 0) {
    // The server was started without one.
    const int nowhere = ::open("/dev/null", O_WRONLY);
    ::dup2(nowhere, STDERR_FILENO);
    if (nowhere > STDERR_FILENO) ::close(nowhere);
  }
  ::dup2(STDERR_FILENO, STDOUT_FILENO);
  return answer;
}

// A parent that died before this process asked to die with it left a pipe that nobody reads. Seen
// by that and not by its id, which a process namespace may hide.
void end_if_orphaned(int answer) {
  pollfd pipe{answer, 0, 0};
  if (::poll(&pipe, 1, 0) == 1 && (pipe.revents & POLLERR) != 0) ::_exit(EXIT_FAILURE);
}

// What the process needs to know when it ends in the middle of loading.
int answer_file = -1;
std::filesystem::path original_file;

[[noreturn]] void end_with(const std::optional<std::string>& failure) {
  static_cast<void>(core::write_all(
      answer_file, failure ? std::string(trial::kFailed) + *failure : std::string(trial::kLoaded)));
  ::_exit(failure ? EXIT_FAILURE : EXIT_SUCCESS);
}

std::string text_of(const std::exception_ptr& exception) {
  try {
    if (exception) std::rethrow_exception(exception);
    return "std::terminate was called";
  } catch (const std::exception& error) {
    return "threw the exception " + config::in_quotes(error.what());
  } catch (...) {
    return "threw an exception that is no std::exception";
  }
}

// An exception of a constructor does not come through the dynamic loader: it ends here.
[[noreturn]] void on_terminate() {
  end_with(
      fmt::format("{} cannot be loaded: a constructor of a static object failed ({}); catch it "
                  "there, or do that "
                  "work in the attribute start",
                  original_file.filename().string(), text_of(std::current_exception())));
}

// Why the copy cannot be loaded, or nothing.
std::optional<std::string> load(const std::filesystem::path& copy) noexcept {
  const auto bytes = read_module_file(copy);
  if (!bytes) return bytes.error().message;
  auto module = Module::load(copy, inspect(*bytes, original_file, {}));
  if (!module) return module.error().message;
  // Kept open: this process ends without running anything more of the app.
  static std::optional<Module> kept;
  kept.emplace(*std::move(module));
  return std::nullopt;
}

}  // namespace

void load_and_end(const std::filesystem::path& private_copy, const std::filesystem::path& original,
                  int answer) {
  expect_crashes();
  answer_file = answer;
  original_file = original;
  std::set_terminate(on_terminate);
  end_with(load(private_copy));
}

int trial_load_main(const std::filesystem::path& private_copy) {
  const int answer = take_standard_output();
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  end_if_orphaned(answer);
  const char* const named = std::getenv(trial::kOriginalVariable);
  const std::filesystem::path original =
      named == nullptr ? private_copy : std::filesystem::path(named);
  ::unsetenv(trial::kOriginalVariable);
  load_and_end(private_copy, original, answer);
}

}  // namespace sonicorn::app
