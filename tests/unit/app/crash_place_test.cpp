#include <doctest/doctest.h>

#include <csignal>
#include <future>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

#include "../core/dying_child.hpp"
#include "app/generation.hpp"
#include "app/inspection.hpp"
#include "core/alternate_stack.hpp"
#include "http/app_response.hpp"
#include "temporary_folder.hpp"

// What the report of a crash says of the call that an app was in.
namespace sonicorn::app {
namespace {

using core::CrashReport;
using core::Death;

constexpr std::uint64_t kNumber = 7;

// The fixture `crashes` with these settings, started.
std::unique_ptr<Generation> start_app(const std::string& settings) {
  auto* const services = new Services(Offer::of_server(), config::Config());
  const auto bytes = read_module_file(fixture("crashes"));
  const Inspection inspection = inspect(*bytes, fixture("crashes"), services->offer);
  auto module = Module::load(fixture("crashes"), inspection);
  if (!module) ::_exit(90);
  core::expect_no_exit();
  auto generation = std::make_unique<Generation>(
      std::move(*module),
      Generation::Traits{
          .name = "shop", .number = kNumber, .blocking = true, .build_id = inspection.build_id},
      ServerView::Facts{.app_name = "shop", .mount = "", .settings = settings}, *services);
  std::promise<void> started;
  generation->start([&](const Outcome&) { started.set_value(); });
  started.get_future().get();
  return generation;
}

// Waits for the end that the settings bring by themselves.
void wait_for_end() {
  for (;;) ::pause();
}

Death death_in(std::string_view where, std::string_view how) {
  return core::death_of([&] {
    const auto generation = start_app("{\"in\": \"" + std::string(where) + "\", \"how\": \"" +
                                      std::string(how) + "\"}");
    if (where == "shutdown") {
      generation->shutdown({.reason = 0, .signal_number = 0, .deadline = {}, .message = {}},
                           [](const Outcome&) {});
    }
    wait_for_end();
  });
}

Death death_of_request(const std::string& path) {
  return core::death_of([&] {
    const auto generation = start_app("{}");
    std::thread thread([&] {
      ::pthread_setname_np(::pthread_self(), "pool-3");
      core::use_alternate_stack();
      CallContext context(SONICORN_SCOPE_REQUEST, SONICORN_THREAD_POOL);
      sonicorn_request request{};
      request.path = {path.data(), path.size()};
      http::AppResponse response;
      const RunningCall running(context, *generation, Attribute::on_request);
      static_cast<void>(generation->on_request(context, request, response));
    });
    thread.join();
    wait_for_end();
  });
}

bool has_frame(const CrashReport& report, std::string_view function) {
  for (const core::Frame& frame : core::named_frames(report)) {
    if (frame.function.starts_with(function) && frame.file == "crashes.so") return true;
  }
  return false;
}

void check_tells(const CrashReport& report, std::string_view what, std::string_view thread,
                 std::string_view function) {
  CAPTURE(what);
  CHECK(report.app == "shop");
  CHECK(report.generation == kNumber);
  CHECK(report.build_id.size() == 40);
  CHECK(report.what == what);
  CHECK(report.thread_name == thread);
  INFO(core::to_text(core::named_frames(report)));
  CHECK(has_frame(report, function));
}

TEST_CASE("a crash in a lifecycle call names the attribute") {
  const Death start = death_in("start", "segv");
  CHECK(start.by(SIGSEGV));
  check_tells(start.report(), "start", "shop", "crashes::write_to_nowhere");
  CHECK(core::summary(start.report())
            .starts_with("app shop: start ended the worker by SIGSEGV at 0x10 (generation 7, "));
  const Death shutdown = death_in("shutdown", "abort");
  CHECK(shutdown.by(SIGABRT));
  check_tells(shutdown.report(), "shutdown", "shop", "crashes::give_up");
  const Death timer = death_in("timer", "overflow");
  CHECK(timer.by(SIGSEGV));
  CHECK(timer.report().stack_overflow);
  check_tells(timer.report(), "the callback of a timer", "shop", "crashes::go_deeper");
}

TEST_CASE("a crash of a background thread names it") {
  const Death death = death_in("background", "overflow");
  CHECK(death.by(SIGSEGV));
  CHECK(death.report().stack_overflow);
  check_tells(death.report(), "a background thread", "sweeper", "crashes::go_deeper");
}

TEST_CASE("an exit by an app names its call, and runs nothing more") {
  const Death death = death_in("start", "exit");
  CHECK(death.with(3));
  CHECK(death.report().kind == core::CrashKind::exit);
  CHECK(death.report().status == 3);
  check_tells(death.report(), "start", "shop", "crashes::leave");
}

TEST_CASE("a crash in a request names the attribute and the thread") {
  const Death fault = death_of_request("/segv");
  CHECK(fault.by(SIGSEGV));
  check_tells(fault.report(), "on_request", "pool-3", "crashes::write_to_nowhere");
  const Death overflow = death_of_request("/overflow");
  CHECK(overflow.report().stack_overflow);
  check_tells(overflow.report(), "on_request", "pool-3", "crashes::go_deeper");
  check_tells(death_of_request("/exit3").report(), "on_request", "pool-3", "crashes::leave");
}

TEST_CASE("a crash of a thread that an app has started itself is the app's") {
  const Death fault = death_of_request("/segv-in-own-thread");
  CHECK(fault.by(SIGSEGV));
  check_tells(fault.report(), "a thread of its own", "own", "crashes::write_to_nowhere");
  const Death thrown = death_of_request("/throw-in-thread");
  CHECK(thrown.by(SIGABRT));
  check_tells(thrown.report(), "a thread of its own", "own", "crashes::throw_for_nobody");
}

}  // namespace
}  // namespace sonicorn::app
