#include "app/call_context.hpp"

#include <unistd.h>

#include <utility>

namespace sonicorn::app {
namespace {

std::uint32_t role_of_process = SONICORN_PROCESS_WORKER;

}  // namespace

CallContext::CallContext(std::uint32_t scope_, std::uint32_t thread_role_) : sonicorn_context{} {
  size = sizeof(sonicorn_context);
  scope = scope_;
  process_id = static_cast<std::int32_t>(::getpid());
  process_role = role_of_process;
  thread_role = thread_role_;
  thread_id = static_cast<std::uint64_t>(::gettid());
  set_error = &CallContext::store_error;
}

std::string or_no_text(std::string text) {
  return text.empty() ? "it gave no text (sonicorn_fail)" : std::move(text);
}

void CallContext::set_process_role(std::uint32_t role) { role_of_process = role; }

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
