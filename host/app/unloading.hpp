#pragma once

#include <sys/types.h>

#include <filesystem>
#include <set>
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

// The threads of this process, by their kernel ids.
std::set<pid_t> threads_of_process();

// Marks the calling thread as one of the server's own, until it ends.
void note_own_thread();

// Why code at `code`, loaded from `file` when the threads `before` were there, cannot be unloaded
// without a crash to come: a thread that may run it, a signal handler, a pthread key whose
// destructor is in it. Empty: nothing is known. Asks threads that are not the server's own for
// their stacks.
std::string reason_to_keep(std::span<const core::AddressRange> code,
                           const std::filesystem::path& file, const std::set<pid_t>& before);

// Whether the loader has that file.
bool is_loaded(const std::filesystem::path& file);

}  // namespace sonicorn::app
