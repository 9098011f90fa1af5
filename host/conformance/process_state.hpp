#pragma once

#include <sys/types.h>

#include <csignal>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

// What of the calling process an app can leave behind or change. Thread-safe, but not one
// consistent view of a process whose threads are at work.
namespace sonicorn::conformance {

std::set<pid_t> threads();

// The name that ps shows; empty when there is no such thread any more.
std::string name_of_thread(pid_t thread);

// Open descriptors, and what each is: "/dev/null", "socket:[42]".
std::map<int, std::string> descriptors();

// Bit 0 for signal 1, and so on. 0 when the thread is gone.
std::uint64_t blocked_signals(pid_t thread);

// Bytes that malloc has given out, in all its arenas; 0 where a sanitizer replaces it.
std::uint64_t allocated_bytes();
// Bytes of memory that the process occupies.
std::uint64_t resident_bytes();

// How each signal of the process is handled.
class Dispositions {
 public:
  // As it is now.
  static Dispositions now();

  // The signals that `other` handles differently.
  std::vector<int> differences(const Dispositions& other) const;
  void restore() const;
  const struct sigaction& of(int signal) const;

 private:
  std::vector<struct sigaction> actions_;  // by number; that of 0 is unused
};

}  // namespace sonicorn::conformance
