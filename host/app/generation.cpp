#include "app/generation.hpp"

#include <exception>
#include <utility>

#include "core/log.hpp"

namespace sonicorn::app {
namespace {

// Runs one call into an app and turns an exception that leaves it into an error result.
template <class Call>
std::int32_t guarded(CallContext& context, Call call) {
  try {
    return call();
  } catch (const std::exception& error) {
    const std::string text = std::string("it threw: ") + error.what();
    context.set_error(&context, text.data(), text.size());
  } catch (...) {
    constexpr std::string_view kText = "it threw something that is no std::exception";
    context.set_error(&context, kText.data(), kText.size());
  }
  return SONICORN_ERROR;
}

std::string or_no_text(std::string text) {
  return text.empty() ? "it gave no text (sonicorn_fail)" : std::move(text);
}

}  // namespace

Generation::Generation(Module module, Traits traits, ServerView::Facts facts)
    : traits_(std::move(traits)),
      server_(std::move(facts)),
      module_(std::move(module)),
      attributes_(module_.attributes()),
      lifecycle_(traits_.name) {}

Generation::~Generation() = default;

void Generation::prepare(CallContext& context) const {
  context.server = server_.abi();
  context.generation = traits_.number;
  context.forget_error();
}

void Generation::start(std::function<void(core::Result<void>)> done) {
  lifecycle_.post([this, done = std::move(done)] {
    if (attributes_.start == nullptr) return done({});
    CallContext context(SONICORN_SCOPE_APP, SONICORN_THREAD_LIFECYCLE);
    prepare(context);
    context.set_event("start");
    const std::int32_t result =
        guarded(context, [&] { return attributes_.start(&context, &state_); });
    if (result == SONICORN_OK) return done({});
    done(core::app_error(
        "app.start_failed",
        fmt::format("app {}: start {} ({}): {}; mend its cause, or serve without the app "
                    "(--skip-broken)",
                    traits_.name, result > 0 ? "declined" : "failed", result,
                    or_no_text(context.take_error()))));
  });
}

void Generation::shutdown(StopReason why, std::function<void()> done) {
  lifecycle_.post([this, why = std::move(why), done = std::move(done)] {
    if (attributes_.shutdown != nullptr) {
      CallContext context(SONICORN_SCOPE_APP, SONICORN_THREAD_LIFECYCLE);
      prepare(context);
      context.set_event("shutdown");
      context.reason = why.reason;
      context.signal_number = why.signal_number;
      context.deadline_ns = static_cast<std::uint64_t>(
          std::chrono::nanoseconds(why.deadline.time_since_epoch()).count());
      context.message = {why.message.data(), why.message.size()};
      const std::int32_t result =
          guarded(context, [&] { return attributes_.shutdown(&context, state_); });
      if (result != SONICORN_OK) {
        core::log::error("app {}: shutdown {} ({}): {}", traits_.name,
                         result > 0 ? "declined" : "failed", result,
                         or_no_text(context.take_error()));
      }
    }
    done();
  });
}

std::int32_t Generation::on_request(CallContext& context, const sonicorn_request& request,
                                    sonicorn_response& response) {
  if (!traits_.serial) return guarded_on_request(context, request, response);
  const std::lock_guard lock(serial_);
  return guarded_on_request(context, request, response);
}

std::int32_t Generation::guarded_on_request(CallContext& context, const sonicorn_request& request,
                                            sonicorn_response& response) {
  prepare(context);
  return guarded(context,
                 [&] { return attributes_.on_request(&context, state_, &request, &response); });
}

}  // namespace sonicorn::app
