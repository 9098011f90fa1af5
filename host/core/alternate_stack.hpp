#pragma once

#include <cstdint>

namespace sonicorn::core {

// Gives the calling thread a stack of its own for signal handlers, so that an overflow of its stack
// can be reported; until the thread ends, after what thread-local destructors of others do. May be
// repeated. Costs 64 KiB of addresses and no memory while no handler runs. Without it, or when
// there is no memory for it, handlers run on the thread's own stack.
void use_alternate_stack();

// Whether the calling thread has called it. Async-signal-safe.
bool has_alternate_stack();

// Whether a fault at `address` with the stack pointer there is an overflow of the calling thread's
// stack. False for a thread without an alternate stack. Async-signal-safe.
bool is_stack_overflow(std::uintptr_t address, std::uintptr_t stack_pointer);

}  // namespace sonicorn::core
