#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace sonicorn::core {

// The calling thread's stack as addresses inside the code of its functions, innermost first.
// `depth` counts what is in `code` already, also while the walk is under way, for who is called in
// between because the walk itself has crashed. Called from a signal handler it begins with what the
// signal has interrupted; elsewhere it leaves out itself and `callers` functions more.
//
// Async-signal-safe once prime_stack_walk() was called.
void walk_stack(std::span<std::uintptr_t> code, std::size_t& depth, std::size_t callers);

// The unwinder's first run initialises it, and binds the symbols that it needs.
void prime_stack_walk();

}  // namespace sonicorn::core
