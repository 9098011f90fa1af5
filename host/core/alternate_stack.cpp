#include "core/alternate_stack.hpp"

#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstddef>

namespace sonicorn::core {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr std::size_t kSize = std::size_t{256} * 1024;
#else
constexpr std::size_t kSize = std::size_t{64} * 1024;
#endif

// How far from the stack pointer a function reaches whose frame has overflowed the stack.
constexpr std::uintptr_t kReach = std::uintptr_t{64} * 1024;

// The largest frame whose overflow is known for one: with a stack pointer farther below the stack
// the thread stands somewhere else.
constexpr std::uintptr_t kLargestFrame = std::uintptr_t{16} << 20;

// The thread's own stack. Initialised without code, so that a handler may read it on any thread.
struct OwnStack {
  std::uintptr_t lowest = 0;  // usable address; 0: not known
  std::uintptr_t guard = 0;   // bytes below it
};
constinit thread_local OwnStack own_stack{};

std::size_t page_size() { return static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)); }

OwnStack find_own_stack() {
  OwnStack found;
  pthread_attr_t attributes;
  if (::pthread_getattr_np(::pthread_self(), &attributes) != 0) return found;
  void* lowest = nullptr;
  std::size_t size = 0;
  std::size_t guard = 0;
  if (::pthread_attr_getstack(&attributes, &lowest, &size) == 0 &&
      ::pthread_attr_getguardsize(&attributes, &guard) == 0) {
    // The main thread's guard is a gap that the kernel keeps free.
    found = {reinterpret_cast<std::uintptr_t>(lowest), std::max(guard, page_size())};
  }
  ::pthread_attr_destroy(&attributes);
  return found;
}

class AlternateStack {
 public:
  AlternateStack() {
    const std::size_t guard = page_size();
    // What the kernel stores of the processor's registers comes on top.
    size_ = guard + kSize + static_cast<std::size_t>(std::max(::sysconf(_SC_MINSIGSTKSZ), 0L));
    size_ = (size_ + guard - 1) / guard * guard;
    void* const memory =
        ::mmap(nullptr, size_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (memory == MAP_FAILED) return;
    auto* const base = static_cast<char*>(memory) + guard;
    stack_t stack{};
    stack.ss_sp = base;
    stack.ss_size = size_ - guard;
    if (::mprotect(base, stack.ss_size, PROT_READ | PROT_WRITE) != 0 ||
        ::sigaltstack(&stack, &before_) != 0) {
      ::munmap(memory, size_);
      return;
    }
    memory_ = memory;
    own_stack = find_own_stack();
  }
  ~AlternateStack() {
    if (memory_ == nullptr) return;
    own_stack = {};
    // A sanitizer has put one of its own there, and takes it away when the thread ends.
    ::sigaltstack(&before_, nullptr);
    ::munmap(memory_, size_);
  }
  AlternateStack(const AlternateStack&) = delete;
  AlternateStack& operator=(const AlternateStack&) = delete;

 private:
  std::size_t size_ = 0;
  void* memory_ = nullptr;
  stack_t before_{};
};

}  // namespace

void use_alternate_stack() { static const thread_local AlternateStack stack; }

bool has_alternate_stack() { return own_stack.lowest != 0; }

bool is_stack_overflow(std::uintptr_t address, std::uintptr_t stack_pointer) {
  const auto [lowest, guard] = own_stack;
  if (lowest == 0) return false;
  if (address < lowest && address >= lowest - guard) return true;
  // A large frame may lie below the guard.
  const std::uintptr_t distance =
      address > stack_pointer ? address - stack_pointer : stack_pointer - address;
  return stack_pointer < lowest && lowest - stack_pointer < kLargestFrame && distance < kReach;
}

}  // namespace sonicorn::core
