#pragma once

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstddef>
#include <functional>
#include <vector>

#include "core/crash.hpp"
#include "core/crash_report.hpp"

namespace sonicorn::core {

// How a child ended, and what it reported.
struct Death {
  pid_t process = 0;
  int status = 0;  // of waitpid
  std::vector<std::byte> bytes;

  bool by(int signal) const { return WIFSIGNALED(status) && WTERMSIG(status) == signal; }
  bool with(int code) const { return WIFEXITED(status) && WEXITSTATUS(status) == code; }
  CrashReport report() const {
    auto parsed = parse_crash_report(bytes);
    REQUIRE_MESSAGE(parsed.has_value(), parsed.error().message);
    return *std::move(parsed);
  }
};

// A child with a crash handler that runs `body`, and ends with 0 if that returns.
class DyingChild {
 public:
  explicit DyingChild(const std::function<void()>& body) {
    int ends[2];
    REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
    process_ = ::fork();
    REQUIRE(process_ >= 0);
    if (process_ == 0) {
      const rlimit no_core{0, 0};
      ::setrlimit(RLIMIT_CORE, &no_core);
      ::close(ends[0]);
      // What the test program itself does about signals is not for here.
      for (const int signal : {SIGTERM, SIGPIPE}) std::signal(signal, SIG_DFL);
      install_crash_handler(ends[1]);
      body();
      ::_exit(0);
    }
    ::close(ends[1]);
    report_ = ends[0];
  }
  ~DyingChild() {
    if (process_ == 0) return;
    ::kill(process_, SIGKILL);
    static_cast<void>(death());
  }
  DyingChild(const DyingChild&) = delete;
  DyingChild& operator=(const DyingChild&) = delete;

  pid_t process() const { return process_; }

  void close_report() {
    ::close(report_);
    report_ = -1;
  }

  // Waits for the end. Once.
  Death death() {
    Death death;
    death.process = process_;
    std::byte buffer[4096];
    while (report_ >= 0) {
      const ssize_t count = ::read(report_, buffer, sizeof(buffer));
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) break;
      death.bytes.insert(death.bytes.end(), buffer, buffer + count);
    }
    if (report_ >= 0) ::close(report_);
    while (::waitpid(process_, &death.status, 0) < 0 && errno == EINTR) continue;
    process_ = 0;
    return death;
  }

 private:
  pid_t process_ = 0;
  int report_ = -1;
};

inline Death death_of(const std::function<void()>& body) { return DyingChild(body).death(); }

}  // namespace sonicorn::core
