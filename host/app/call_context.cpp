#include "app/call_context.hpp"

#include <unistd.h>

#include <utility>

#include "app/generation.hpp"
#include "core/place.hpp"

namespace sonicorn::app {
namespace {

std::uint32_t role_of_process = SONICORN_PROCESS_WORKER;
std::uint32_t index_of_worker = 0;

// The newest context of the thread. Initialised without code, for a handler reads it on any thread.
constinit thread_local const CallContext* context_here = nullptr;

// Runs in a handler.
bool read_place(core::Place& place) {
  if (context_here == nullptr) return false;
  const CallContext::Running& running = context_here->running;
  const Generation* const generation = running.generation.load(std::memory_order_acquire);
  if (generation == nullptr) return false;
  place = generation->place(name_of(running.attribute.load(std::memory_order_relaxed)));
  return true;
}

}  // namespace

CallContext::CallContext(std::uint32_t scope_, std::uint32_t thread_role_) : sonicorn_context{} {
  size = sizeof(sonicorn_context);
  scope = scope_;
  process_id = static_cast<std::int32_t>(::getpid());
  process_role = role_of_process;
  worker_index = index_of_worker;
  thread_role = thread_role_;
  thread_id = static_cast<std::uint64_t>(::gettid());
  set_error = &CallContext::store_error;
  context_here = this;
  core::set_place_reader(&read_place);
}

// Where it ends may be another thread.
CallContext::~CallContext() {
  if (context_here == this) context_here = nullptr;
}

std::string or_no_text(std::string text) {
  return text.empty() ? "it gave no text (sonicorn_fail)" : std::move(text);
}

void CallContext::set_process_role(std::uint32_t role) { role_of_process = role; }

void CallContext::set_worker_index(std::uint32_t index) { index_of_worker = index; }

std::string CallContext::take_error() { return std::exchange(error_, {}); }

std::string CallContext::take_reason() { return or_no_text(take_error()); }

void CallContext::store_error(const sonicorn_context* context, const char* text,
                              uint64_t text_size) {
  const auto& self = *static_cast<const CallContext*>(context);
  try {
    self.error_.assign(text == nullptr ? "" : text, text == nullptr ? 0 : text_size);
  } catch (...) {
    // No memory for the text: the call fails without one.
    self.error_.clear();
  }
}

}  // namespace sonicorn::app
