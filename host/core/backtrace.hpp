#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "core/result.hpp"

// Where the other threads of this process are, asked by a signal. All of it is thread-safe.
namespace sonicorn::core {

// One function of a stack. What is not known is empty or 0. A function that the compiler put into
// its caller has no frame of its own; the caller's `source` and `line` are then where it calls it.
struct Frame {
  std::string function;  // demangled; hidden and static ones too, unless the object is stripped
  std::string file;      // of the object: its name without folder
  std::uintptr_t offset = 0;  // what addr2line takes; without an object, the address
  std::string source;         // with DWARF
  int line = 0;
  std::uintptr_t address = 0;  // in this process
};

// The real-time signal that asks a thread for its stack. The server owns it.
//
// It is SIGRTMAX - 3. The C library has the two lowest and gives out the rest from SIGRTMIN on,
// where most programs begin as well. At the other end, valgrind keeps SIGRTMAX, and the JDK wakes
// its threads by SIGRTMAX - 2. The thread sanitizer and gdb use none; gdb stops at it until told
// `handle SIG61 nostop noprint pass`.
int backtrace_signal();

// Installs the handler of the signal. May be repeated, and takes the signal back from who else
// handles it.
//
// A system call that the signal interrupts goes on afterwards (SA_RESTART): read, write, accept,
// connect, recv and send, wait, flock, open of a FIFO, and what rests on a futex, such as mutexes
// and condition variables. Some never do and end with EINTR: nanosleep and sleep (early), poll,
// select and epoll_wait, pause and sigwait's kin, semop and msgrcv, io_getevents, and a socket with
// SO_RCVTIMEO or SO_SNDTIMEO. So a thread is asked when it is in trouble already, not regularly.
void install_backtrace_handler();

inline constexpr std::chrono::milliseconds kBacktracePatience{1'500};

// The stack of a thread of this process (kernel id, which may be the caller's own), innermost
// first, at most 256 frames. The handler must be installed. Waits for the thread's answer, at most
// `patience`; looking up names then takes some more time, tens of milliseconds for an object with
// much DWARF. One call at a time; others wait for their turn. Takes no lock of the dynamic linker,
// so a thread that hangs in a constructor may be asked.
// Errors: core.no_such_thread; core.no_backtrace_handler, when it is not installed or was replaced;
// core.thread_takes_no_signals, when there is no answer in time: the signal is blocked there, the
// thread is stopped, or a sanitizer defers signals until the thread's next blocking call.
Result<std::vector<Frame>> backtrace_of(pid_t thread,
                                        std::chrono::milliseconds patience = kBacktracePatience);

// One line a frame, "#0 FUNCTION at SOURCE:LINE (OBJECT+0xOFFSET)", without a line break.
std::vector<std::string> to_lines(const std::vector<Frame>& frames);

// The same as one text; lines begin with two spaces and end with a line break.
std::string to_text(const std::vector<Frame>& frames);

}  // namespace sonicorn::core
