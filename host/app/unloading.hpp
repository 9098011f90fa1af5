#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>

#include "app/inspection.hpp"
#include "core/place.hpp"

namespace sonicorn::app {

// What became of the code of a generation that has ended.
struct Unloading {
  bool gone = false;
  std::string cause;  // why it stays; empty: it is gone
};

// Why code of that build stays mapped whatever is done, as far as its file tells; empty: it does
// not.
std::string predicted_pin(const Inspection& inspection);

// The threads of this process: their kernel ids, and when they began, in clock ticks after the
// machine. An id that is used again has another begin.
using ThreadBirths = std::map<pid_t, std::uint64_t>;
ThreadBirths threads_of_process();

// Why code at `code`, loaded when the threads `before` were there, cannot be unloaded without a
// crash to come: a thread that may run it, a signal handler, a pthread key whose destructor is in
// it. Empty: nothing is known. A thread that is younger and not the server's own (core/own_thread)
// is asked for its stack, and counts unless that is whole and shows other code to be its own. Keys
// are not known in a build with sanitizers.
std::string reason_to_keep(std::span<const core::AddressRange> code, const ThreadBirths& before);

// Whether the loader has that file.
bool is_loaded(const std::filesystem::path& file);

}  // namespace sonicorn::app
