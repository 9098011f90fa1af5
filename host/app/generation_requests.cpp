#include <algorithm>
#include <utility>

#include "app/generation.hpp"
#include "core/log.hpp"

// The calls that requests make, on the threads of requests.
namespace sonicorn::app {
namespace {

// The context as long as a thread itself is the subject, and no request.
class AboutThread {
 public:
  explicit AboutThread(CallContext& context)
      : context_(context), deadline_ns_(context.deadline_ns) {
    context.scope = SONICORN_SCOPE_WORKER;
    context.deadline_ns = 0;
  }
  ~AboutThread() {
    context_.scope = SONICORN_SCOPE_REQUEST;
    context_.deadline_ns = deadline_ns_;
  }
  AboutThread(const AboutThread&) = delete;
  AboutThread& operator=(const AboutThread&) = delete;

 private:
  CallContext& context_;
  std::uint64_t deadline_ns_;
};

}  // namespace

Generation::Joined Generation::joined(const CallContext& context) const {
  const auto entry = std::find_if(context.joined.begin(), context.joined.end(),
                                  [this](const auto& each) { return each.first == this; });
  if (entry == context.joined.end()) return Joined::no;
  return entry->second ? Joined::accepted : Joined::refused;
}

bool Generation::join_now(CallContext& context) {
  if (joined(context) == Joined::refused) return false;
  bool accepted = true;
  if (attributes_.thread_start != nullptr) {
    const AboutThread about(context);
    const RunningCall running(context, *this, Attribute::thread_start);
    const std::int32_t result =
        on_request_thread(context, [&] { return attributes_.thread_start(&context, state_); });
    accepted = result == SONICORN_OK;
    if (!accepted) {
      core::log::error(
          "app {}: thread_start {} on thread {} ({}, generation {}): {}; its requests run on "
          "others",
          traits_.name, result > 0 ? "declined" : "failed", context.thread_id, result,
          traits_.number, context.take_reason());
    }
  }
  if (!accepted && context.thread_role == SONICORN_THREAD_POOL) {
    refused_threads_.fetch_add(1, std::memory_order_relaxed);
  }
  context.joined.emplace_back(this, accepted);
  return accepted;
}

void Generation::leave_thread(CallContext& context) {
  for (const auto& [generation, accepted] : std::exchange(context.joined, {})) {
    if (accepted) generation->exit_thread(context);
  }
}

void Generation::leave(CallContext& context) {
  const auto entry = std::find_if(context.joined.begin(), context.joined.end(),
                                  [this](const auto& each) { return each.first == this; });
  if (entry == context.joined.end()) return;
  const bool accepted = entry->second;
  context.joined.erase(entry);
  if (accepted) exit_thread(context);
}

void Generation::exit_thread(CallContext& context) {
  if (attributes_.thread_exit == nullptr) return;
  const AboutThread about(context);
  const RunningCall running(context, *this, Attribute::thread_exit);
  const std::int32_t result =
      on_request_thread(context, [&] { return attributes_.thread_exit(&context, state_); });
  if (result != SONICORN_OK) {
    core::log::error("app {}: thread_exit {} ({}, generation {}): {}", traits_.name,
                     result > 0 ? "declined" : "failed", result, traits_.number,
                     context.take_reason());
  }
}

}  // namespace sonicorn::app
