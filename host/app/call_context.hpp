#pragma once

#include <sonicorn/context.h>

#include <cstdint>
#include <string>
#include <string_view>

namespace sonicorn::app {

// The context of calls on one thread, with a place for the text that an app gives to its error.
// Set up once per thread and reused: only what differs from call to call is written again. Belongs
// to its thread and does not move while a call is under way.
class CallContext : public sonicorn_context {
 public:
  // `scope`, `thread_role`: SONICORN_SCOPE_..., SONICORN_THREAD_...; the thread is the calling one.
  CallContext(std::uint32_t scope, std::uint32_t thread_role);
  CallContext(const CallContext&) = delete;
  CallContext& operator=(const CallContext&) = delete;

  // Names the attribute that is about to be called; `name` is a literal or outlives the call.
  void set_event(std::string_view name) { event = {name.data(), name.size()}; }

  // What an app said of a call that went well is not for the next one.
  void forget_error() {
    if (!error_.empty()) error_.clear();
  }
  // The text of the last error, taken.
  std::string take_error();

 private:
  static void store_error(const sonicorn_context* context, const char* text, uint64_t text_size);

  mutable std::string error_;
};

}  // namespace sonicorn::app
