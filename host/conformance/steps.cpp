#include "conformance/steps.hpp"

#include <fmt/format.h>

namespace sonicorn::conformance {
namespace {

// "failed (-1): the text", "declined (1)".
std::string what_it_did(const app::Outcome& outcome) {
  const std::string did =
      fmt::format("{} ({})", outcome.result > 0 ? "declined" : "failed", outcome.result);
  return outcome.error.empty() ? did : fmt::format("{}: {}", did, outcome.error);
}

constexpr std::string_view kSayWhy =
    "mend the cause that it names; sonicorn_fail(context, text) is how an app names one";

}  // namespace

Finding load_failed(const core::Error& error) {
  return {.id = "check.load_failed",
          .level = Level::error,
          .message = error.message,
          .remedy = "mend the build of the app; sonicorn inspect says what it needs",
          .where = {}};
}

bool start_one(Subject& subject, Observer& observer) {
  const app::Outcome started = subject.start();
  if (!started.ok()) {
    observer.report(
        {.id = "check.start_failed",
         .level = Level::error,
         .message = fmt::format("start {}", what_it_did(started)),
         .remedy = "mend the cause that it names; settings are given by --settings JSON",
         .where = {}});
    return false;
  }
  if (const app::Outcome health = subject.health(); !health.ok()) {
    observer.report(
        {.id = "check.unhealthy",
         .level = Level::warning,
         .message = fmt::format("health {} right after start, so a server would not serve it",
                                what_it_did(health)),
         .remedy = std::string(kSayWhy),
         .where = {}});
  }
  if (const app::Outcome ready = subject.ready(); !ready.ok()) {
    observer.report({.id = "check.ready_failed",
                     .level = Level::warning,
                     .message = fmt::format("ready {}", what_it_did(ready)),
                     .remedy = std::string(kSayWhy),
                     .where = {}});
  }
  return true;
}

void report_answer(const Answer& answer, Observer& observer) {
  if (!answer.fault.empty()) {
    observer.report(
        {.id = "check.bad_response",
         .level = Level::error,
         .message = fmt::format("the response to GET / cannot be sent: {}", answer.fault),
         .remedy = "see sonicorn/response.h for what a response may be",
         .where = {}});
  } else if (answer.result < 0) {
    observer.report(
        {.id = "check.request_failed",
         .level = Level::warning,
         .message = fmt::format("GET / was answered with 500: ({}) {}", answer.result,
                                answer.error.empty() ? "it gave no text" : answer.error),
         .remedy = "answer what can be foreseen with a status of its own; an error is "
                   "for what is broken",
         .where = {}});
  }
}

bool drain_one(Subject& subject, Observer& observer) {
  const Subject::Drained drained = subject.drain();
  if (drained.declined_for_ever) {
    observer.report({.id = "check.never_drained",
                     .level = Level::error,
                     .message = "drain declined, which means \"not yet\", and without drain/1 the "
                                "app can never say that it is done",
                     .remedy = "ask for drain/1, and return SONICORN_OK where that is NULL",
                     .where = {}});
    return false;
  }
  if (drained.outcome.result < 0) {
    observer.report({.id = "check.drain_failed",
                     .level = Level::warning,
                     .message = fmt::format("drain {}", what_it_did(drained.outcome)),
                     .remedy = std::string(kSayWhy),
                     .where = {}});
  }
  return true;
}

void shut_down_one(Subject& subject, Observer& observer) {
  const app::Outcome ended = subject.shutdown();
  if (ended.ok()) return;
  if (!ended.called) {
    observer.report({.id = "check.background_thread",
                     .level = Level::error,
                     .message =
                         "shutdown was not called, for a thread that the app started through "
                         "background/1 did not end when it was asked to",
                     .remedy = "return from it when stop_requested() or wait() say so",
                     .where = {}});
    return;
  }
  observer.report({.id = "check.shutdown_failed",
                   .level = Level::error,
                   .message = fmt::format("shutdown {}", what_it_did(ended)),
                   .remedy = std::string(kSayWhy),
                   .where = {}});
}

}  // namespace sonicorn::conformance
