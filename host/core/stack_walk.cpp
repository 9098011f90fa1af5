#include "core/stack_walk.hpp"

#include <unwind.h>

#include <algorithm>
#include <array>

namespace sonicorn::core {
namespace {

struct Walk {
  std::span<std::uintptr_t> code;
  std::size_t& depth;
  bool in_handler = true;
};

_Unwind_Reason_Code on_frame(_Unwind_Context* context, void* argument) {
  auto& walk = *static_cast<Walk*>(argument);
  int interrupted = 0;
  const std::uintptr_t code = ::_Unwind_GetIPInfo(context, &interrupted);
  if (code == 0) return _URC_END_OF_STACK;
  // The innermost interrupted function is where the thread was; what came before is the handler.
  if (interrupted != 0 && walk.in_handler) {
    walk.in_handler = false;
    walk.depth = 0;
  }
  if (walk.depth == walk.code.size()) return _URC_END_OF_STACK;
  // A return address may lie behind the calling function, if the call was its last instruction.
  walk.code[walk.depth++] = interrupted != 0 ? code : code - 1;
  return _URC_NO_REASON;
}

}  // namespace

// libgcc's unwinder allocates nothing, and finds the tables of an object by _dl_find_object of
// glibc 2.35, which takes no lock: it may run in a handler. backtrace() of glibc and
// Boost.Stacktrace rest on the same function, but do not tell the interrupted frame from those of
// callers.
[[gnu::noinline]] void walk_stack(std::span<std::uintptr_t> code, std::size_t& depth,
                                  std::size_t callers) {
  Walk walk{code, depth};
  depth = 0;
  ::_Unwind_Backtrace(&on_frame, &walk);
  if (!walk.in_handler) return;
  const std::size_t own = std::min<std::size_t>(depth, 1 + callers);
  for (std::size_t i = own; i < depth; ++i) code[i - own] = code[i];
  depth -= own;
}

void prime_stack_walk() {
  [[maybe_unused]] static const bool primed = [] {
    std::array<std::uintptr_t, 64> code{};
    std::size_t depth = 0;
    walk_stack(code, depth, 0);
    return true;
  }();
}

}  // namespace sonicorn::core
