#pragma once

#include <csignal>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

// Apps share the process's signals with the server, and need none: `shutdown` tells them of the
// end. Here is noticed, and put right, what an app did to those that the server owns.
namespace sonicorn::app {

// What an app changed of one owned signal.
struct Intrusion {
  int signal = 0;
  enum class Kind { handler, ignored, defaulted, blocked, unblocked } kind = Kind::handler;
};

// The signals that the server owns: how they are handled now, process-wide, is how they shall stay.
// `blocked` of them are blocked in every thread, for they are read from a descriptor; the others
// reach every thread. Call it once, before any app is loaded and any thread is made. Without it
// nothing is owned.
void own_signals(std::span<const int> blocked, std::span<const int> open);

// Compares handlers and the calling thread's mask with what the server set, and restores that. What
// was changed is the result. Thread-safe.
std::vector<Intrusion> put_signals_right();

// "installed a handler for SIGTERM".
std::string describe(const Intrusion& intrusion);

// "SIGTERM", "signal 40".
std::string signal_name(int number);

sigset_t set_of(std::span<const int> signals);

// The SONICORN_REASON_... of a stop by this signal.
std::uint32_t stop_reason_of(int number);

}  // namespace sonicorn::app
