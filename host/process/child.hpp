#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/result.hpp"

namespace sonicorn::process {

// What a new process is made of. Besides what is named here it gets nothing: no other descriptor,
// no blocked signal, and each signal's default action. It leads a process group of its own.
struct SpawnRequest {
  std::vector<std::string> argv;  // never empty
  std::string file;               // what is executed; empty: argv[0], looked for in PATH
  std::vector<std::pair<std::string, std::string>> environment;  // added to this process's own
  std::vector<int> inherited;  // descriptors above 2, there under the same number
  // Descriptors above 2 that stand for the three standard ones. They stay the caller's.
  int input = -1;   // -1: /dev/null
  int output = -1;  // -1: this process's own
  int errors = -1;  // -1: this process's own
};

// The children of this process: starts them and hears of their ends. For one thread, and for a
// process in which nobody else waits for a child.
//
// Taking an ended child off the kernel's list can last for seconds: the kernel removes what /proc
// has of it, and waits for the last of its threads to have done the same, which on a busy machine
// may not get a processor for long. So that is done by a thread of its own, after the end is told.
class Children {
 public:
  using OnEnd = std::function<void(int wait_status)>;

  Children();
  // Waits until those that are being taken off are.
  ~Children();
  Children(const Children&) = delete;
  Children& operator=(const Children&) = delete;

  // Returns when the new process executes the file, or cannot. Error: host.child_not_run.
  core::Result<pid_t> spawn(const SpawnRequest& request);

  // `on_end` is called once, by reap(), when that child ended; it may spawn, watch and forget. A
  // child must be watched before reap() is called the next time.
  void watch(pid_t child, OnEnd on_end);

  // Nobody is told of that child's end any more.
  void forget(pid_t child);

  // Kills the process group of every child that is watched.
  void kill_all() const;

  // To be called after SIGCHLD, which may stand for several children: takes all that ended. One
  // that nobody watches is taken and forgotten.
  void reap();

 private:
  class Reaper;

  void take_off(pid_t child);

  std::unordered_map<pid_t, OnEnd> watched_;
  std::unique_ptr<Reaper> reaper_;
};

// What to execute for another process of this very program: its path, or where another file has
// taken that place since it began (an upgrade), the kernel's link to what runs.
std::string own_executable();

}  // namespace sonicorn::process
