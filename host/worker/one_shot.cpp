#include "worker/one_shot.hpp"

#include <fmt/format.h>

#include <csignal>
#include <ctime>
#include <filesystem>
#include <future>
#include <memory>

#include "app/loader.hpp"
#include "app/signal_guard.hpp"
#include "app/thread_role.hpp"
#include "core/backtrace.hpp"
#include "core/log.hpp"
#include "core/place.hpp"
#include "http/engine.hpp"
#include "http/passage_run.hpp"
#include "http/response_writer.hpp"
#include "process/child.hpp"
#include "routing/router.hpp"

namespace sonicorn::worker {
namespace {

namespace log = core::log;
using Clock = std::chrono::steady_clock;

std::string bytes_of(const OneShotRequest& request) {
  std::string text = fmt::format("{} {} HTTP/1.1\r\n", request.method, request.target);
  bool has_host = false;
  for (const auto& [name, value] : request.fields) {
    text += fmt::format("{}: {}\r\n", name, value);
    has_host = has_host || ::strcasecmp(name.c_str(), "host") == 0;
  }
  if (!has_host) text += "Host: localhost\r\n";
  if (!request.body.empty()) text += fmt::format("Content-Length: {}\r\n", request.body.size());
  return text + "\r\n" + request.body;
}

// For the watchdog, which gives overdue calls up, to say where they are.
constexpr std::chrono::seconds kAfterLimit{2};

// Runs a lifecycle call to its end, or until nothing can be expected any more: the thread may be
// stuck in the call before.
template <class Call>
app::Outcome wait_for(Clock::time_point deadline, Call call) {
  const auto told = std::make_shared<std::promise<app::Outcome>>();
  call([told](app::Outcome outcome) { told->set_value(std::move(outcome)); });
  std::future<app::Outcome> outcome = told->get_future();
  if (outcome.wait_until(deadline + kAfterLimit) == std::future_status::ready) {
    return outcome.get();
  }
  return {.error = {}, .overdue = true};
}

class OneShot {
 public:
  OneShot(std::unique_ptr<app::App> app, app::Services& services, std::chrono::milliseconds grace)
      : app_(std::move(app)), services_(services), grace_(grace) {
    app::set_thread_role(SONICORN_THREAD_POOL);
  }

  bool start() {
    const app::Outcome started =
        wait_for(Clock::now() + services_.limits.start_time,
                 [&](auto done) { app_->current().start(std::move(done)); });
    if (started.ok()) return true;
    log::error("app {}: start {} (generation 1): {}", app_->name(),
               started.overdue ? "did not return within its time" : "failed", started.error);
    return false;
  }

  void answer(const http::Request& request, OneShotResult& result) {
    routing::Router router;
    router.add(*app_);
    app::CallContext& context = context_;
    context.deadline_ns = 0;
    context.set_event("on_request");
    http::AppResponse response;
    http::Passage passage;
    const bool follows =
        passage.begin(router, request.path, router.find(request.path), http::Passage::now_ns());
    std::int32_t outcome = SONICORN_DECLINED;
    if (!app_->current().join_thread(context)) {
      outcome = SONICORN_ERROR;
    } else if (follows) {
      outcome = passage.run(context, request, "", response);
    } else if (app_->current().handles_requests()) {
      const core::PlaceHere here(app_->current().place("on_request"));
      const sonicorn_request as_abi = http::abi_request(request, *app_, "");
      outcome = app_->current().on_request(context, as_abi, response);
    }
    result.clean = write(request, context, passage, outcome, response, result);
    if (follows) passage.finish(context, request, "");
  }

  // Once, at last. False when something of the app could not be ended.
  bool end() {
    app::Generation& generation = app_->current();
    app::Occasion why{.reason = SONICORN_REASON_CALL_ENDED,
                      .signal_number = 0,
                      .deadline = Clock::now() + grace_,
                      .message = {}};
    const auto drained = std::make_shared<std::promise<void>>();
    const app::Outcome drain = wait_for(why.deadline, [&](auto done) {
      generation.drain(why, std::move(done), [drained] { drained->set_value(); });
    });
    bool clean = drain.result >= 0 && !drain.overdue;
    if (!clean) log::error("app {}: drain failed (generation 1): {}", app_->name(), drain.error);
    if (drained->get_future().wait_until(why.deadline) != std::future_status::ready) {
      log::error("app {}: it did not finish draining within {} s", app_->name(),
                 grace_.count() / 1000);
      clean = false;
    }
    app::Generation::leave_thread(context_);
    why.deadline = std::max(why.deadline, Clock::now() + app::kLeastShutdown);
    const app::Outcome ended =
        wait_for(why.deadline, [&](auto done) { generation.shutdown(why, std::move(done)); });
    is_stuck_ = ended.overdue || generation.is_stuck();
    if (!is_stuck_) static_cast<void>(app::Generation::retire(app_->switch_to(nullptr)));
    return clean && ended.ok() && !is_stuck_;
  }

  // Whether code of the app still runs.
  bool is_stuck() const { return is_stuck_; }

 private:
  bool write(const http::Request& request, app::CallContext& context, http::Passage& passage,
             std::int32_t outcome, http::AppResponse& response, OneShotResult& result) {
    http::Output output;
    http::ResponseWriter writer;
    writer.set_time(std::time(nullptr));
    const std::string_view fault =
        outcome == SONICORN_OK ? http::ResponseWriter::fault_of(response) : std::string_view();
    const bool answered = outcome == SONICORN_OK && fault.empty();
    if (!answered) {
      response.drop();
      response.reset();
      if (outcome <= 0) {
        log::error("app {}: {}", app_->name(),
                   fault.empty()
                       ? fmt::format("{} failed ({}, generation 1): {}",
                                     passage.failed_app() != nullptr ? passage.failed_attribute()
                                                                     : "on_request",
                                     outcome, context.take_reason())
                       : fmt::format("its response cannot be sent (generation 1): {}", fault));
      }
      http::ResponseWriter::fill_in(
          response, outcome > 0 ? http::refusals::kNotFound : http::refusals::kAppFailed,
          http::ResponseWriter::wants_json(request));
    }
    if (passage.has_fields()) passage.set_fields(response);
    const bool failed = outcome < 0 || !fault.empty();
    passage.set_result(failed ? SONICORN_OUTCOME_FAILED : SONICORN_OUTCOME_SENT);
    passage.set_answer(response.status, response.body.size);
    writer.write(output, request, response, false);
    std::vector<iovec> pieces(64);
    std::string all;
    while (!output.empty()) {
      std::size_t size = 0;
      const std::size_t count = output.gather(pieces);
      for (std::size_t i = 0; i < count; ++i) {
        all.append(static_cast<const char*>(pieces[i].iov_base), pieces[i].iov_len);
        size += pieces[i].iov_len;
      }
      output.consume(size);
    }
    const std::size_t head = all.find("\r\n\r\n") + 4;
    result.head = all.substr(0, head);
    result.body = all.substr(head);
    return outcome >= 0 && fault.empty();
  }

  std::unique_ptr<app::App> app_;
  app::Services& services_;
  std::chrono::milliseconds grace_;
  app::CallContext context_{SONICORN_SCOPE_REQUEST, SONICORN_THREAD_POOL};  // of this thread
  bool is_stuck_ = false;
};

}  // namespace

OneShotResult run_once(const config::App& wanted, const config::Config& config,
                       const OneShotRequest& request) {
  OneShotResult result;
  config::Limits limits = config.limits;
  limits.body = request.body.size();
  limits.request_line = limits.field = limits.head = 1 << 20;
  const std::string bytes = bytes_of(request);
  http::Engine engine(limits);
  http::Request parsed;
  std::size_t head_size = 0;
  std::size_t body_size = 0;
  http::Engine::Step step = engine.receive(bytes, head_size, parsed);
  if (step == http::Engine::Step::head) {
    step = engine.accept_body(limits.body, std::string_view(bytes).substr(head_size), body_size,
                              parsed);
  }
  if (step != http::Engine::Step::request || head_size + body_size != bytes.size()) {
    result.reasons.push_back(
        core::Error("client.bad_request", core::Origin::client,
                    fmt::format("this is no request that a server takes: {}",
                                step == http::Engine::Step::refused ? engine.refusal().message
                                                                    : "its head ends too early")));
    return result;
  }

  core::install_backtrace_handler();
  const int open_signals[] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP, core::backtrace_signal()};
  app::own_signals({}, open_signals);
  app::CallContext::set_process_role(SONICORN_PROCESS_CALL);
  const auto copies = app::RuntimeDir::create(config.runtime_dir);
  if (!copies) {
    result.reasons.push_back(copies.error());
    return result;
  }
  app::Offer offer = app::Offer::of_call();
  for (const std::string& name : config.without) static_cast<void>(offer.withhold(name));
  // It and what is left of the app stay until the process ends, for code of the app may.
  static auto* const services = new app::Services(std::move(offer), config);
  services->stop_reasons = std::uint64_t{1} << SONICORN_REASON_CALL_ENDED;
  services->shutdown_not_on = SONICORN_SHUTDOWN_NOT_ON_KILL | SONICORN_SHUTDOWN_NOT_ON_CRASH |
                              SONICORN_SHUTDOWN_NOT_ON_STUCK_REQUEST |
                              SONICORN_SHUTDOWN_NOT_ON_STUCK_THREAD;
  app::Loaded loaded = app::load_app(wanted, config, *services, *copies, process::own_executable());
  if (loaded.app == nullptr) {
    result.reasons = std::move(loaded.reasons);
    return result;
  }
  static auto* const one_shot = new OneShot(std::move(loaded.app), *services, config.grace);
  if (one_shot->start()) {
    one_shot->answer(parsed, result);
  } else {
    result.reasons.push_back(core::app_error("app.start_failed", "the app did not start"));
  }
  if (!one_shot->end()) result.clean = false;
  result.stuck = one_shot->is_stuck();
  return result;
}

}  // namespace sonicorn::worker
