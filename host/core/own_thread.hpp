#pragma once

#include <sys/types.h>

namespace sonicorn::core {

// Marks the calling thread as one of the server's own, until it ends: what apps leave behind is
// looked for among the others.
void note_own_thread();

// Whether the thread of this process with that kernel id is marked. Thread-safe.
bool is_own_thread(pid_t thread);

}  // namespace sonicorn::core
