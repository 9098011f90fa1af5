#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/backtrace.hpp"
#include "core/crash_record.hpp"
#include "core/result.hpp"

namespace sonicorn::core {

// What a process said of its own end (core/crash.hpp). The texts have printable ASCII characters
// only, others are question marks; but an object's path is as it was.
struct CrashReport {
  struct Frame {
    std::uintptr_t code = 0;    // an address inside the function's instruction
    std::uintptr_t offset = 0;  // the same in the object's file; without an object, the address
    std::string object;         // its path; "" where no object is
  };

  CrashKind kind = CrashKind::signal;
  int signal = 0;               // of a signal
  int code = 0;                 // siginfo_t.si_code
  std::uintptr_t address = 0;   // of the fault, when the kernel sent the signal
  pid_t sender = 0;             // the process that sent it, which may be itself; 0: the kernel
  bool stack_overflow = false;  // the fault
  int status = 0;               // of exit()
  pid_t process = 0;
  pid_t thread = 0;
  std::string thread_name;
  std::string app;               // the app whose code was running; "" when that is not known
  std::string build_id;          // of the app, hexadecimal digits; may be ""
  std::uint64_t generation = 0;  // of the app
  std::string what;              // the attribute that ran, or a few words
  std::vector<Frame> frames;     // innermost first
  bool whole = false;            // all frames are there that were found
};

// Reads what was written, which need not be true or complete. Error: core.no_crash_report, when
// there is no such record.
Result<CrashReport> parse_crash_report(std::span<const std::byte> bytes);

// "app hello: on_request ended the worker by SIGSEGV (stack overflow) at 0x7ffe... (generation 3,
// thread 1234 io-0)". One line.
std::string summary(const CrashReport& report);

// The frames without the names of functions, from the report alone.
std::vector<Frame> plain_frames(const CrashReport& report);

// The frames with what the objects' files say. Reads these files, which may be large: for a process
// of its own, with a time limit.
std::vector<Frame> named_frames(const CrashReport& report);

}  // namespace sonicorn::core
