#pragma once

#include <sys/resource.h>
#include <sys/types.h>

#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "support/files.hpp"

namespace support {

// How a process ended.
struct Ending {
  int status = -1;  // of exit(); -1 when a signal ended it
  int signal = 0;   // 0 when it exited
};

// A child process whose output is collected while it runs. It is killed when this test program
// dies, and when the object goes. One thread may use it.
class Process {
 public:
  using Environment = std::vector<std::pair<std::string, std::string>>;

  // Runs arguments[0] in the folder `directory` (empty: the current one).
  explicit Process(std::vector<std::string> arguments, const Environment& environment = {},
                   const std::filesystem::path& directory = {});
  ~Process();
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  pid_t id() const { return id_; }
  void send_signal(int signal) const;

  // How it ended, or nothing when it still runs after `limit`.
  std::optional<Ending> wait(std::chrono::milliseconds limit = kPatience);

  // What it wrote so far; all of it once wait() told its end.
  std::string output() const;
  std::string errors() const;

  // Waits until the errors contain `text`; false when that does not happen in time or the process
  // closes the stream without having written it.
  bool wait_for_errors(std::string_view text, std::chrono::milliseconds limit = kPatience) const;

 private:
  struct Stream {
    int fd = -1;
    bool open = true;
    std::string text;
  };

  void collect();

  pid_t id_ = -1;
  int pidfd_ = -1;
  int stop_ = -1;  // an eventfd that ends the collector, should somebody else keep the streams open
  std::optional<Ending> ending_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  Stream output_;
  Stream errors_;
  std::thread collector_;
};

// Its line in /proc, "PID (NAME) STATE ..."; empty when it is gone.
std::string stat_of(pid_t process);

// Whether it has not ended; who has and was not waited for does not live.
bool lives(pid_t process);

// The limit of open files, of this process and of what it starts, as long as it lives.
class DescriptorLimit {
 public:
  // 0: as it is.
  explicit DescriptorLimit(rlim_t descriptors) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    rlimit changed = before_;
    if (descriptors != 0) changed.rlim_cur = descriptors;
    ::setrlimit(RLIMIT_NOFILE, &changed);
  }
  ~DescriptorLimit() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  DescriptorLimit(const DescriptorLimit&) = delete;
  DescriptorLimit& operator=(const DescriptorLimit&) = delete;

 private:
  rlimit before_{};
};

// The outcome of a command that ends by itself.
struct Outcome {
  Ending ending;
  std::string output;
  std::string errors;
};

bool reported_by_sanitizer(const std::string& log);

// Runs the server's executable with these arguments to its end; throws when it does not end in
// time, and when a sanitizer has something to say.
Outcome run_sonicorn(std::vector<std::string> arguments,
                     const Process::Environment& environment = {});

}  // namespace support
