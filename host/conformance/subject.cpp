#include "conformance/subject.hpp"

#include <pthread.h>
#include <unistd.h>

#include <future>
#include <thread>
#include <utility>

#include "app/module.hpp"
#include "app/thread_role.hpp"
#include "conformance/process_state.hpp"
#include "http/app_response.hpp"
#include "http/engine.hpp"
#include "http/passage_run.hpp"
#include "http/response_writer.hpp"

namespace sonicorn::conformance {
namespace {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

constexpr std::string_view kRequest =
    "GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: sonicorn-check\r\nAccept: */*\r\n\r\n";

// A shutdown that has no time left still joins what it may join (Generation::end), and is then told
// by its own result.
constexpr milliseconds kAfterDeadline{5'000};

template <class Call>
app::Outcome wait_for(Call call) {
  const auto told = std::make_shared<std::promise<app::Outcome>>();
  call([told](app::Outcome outcome) { told->set_value(std::move(outcome)); });
  return told->get_future().get();
}

}  // namespace

core::Result<std::unique_ptr<Subject>> Subject::load(const Material& material,
                                                     std::uint64_t generation) {
  const app::Inspection& inspection = material.inspection;
  auto copy = app::write_private_copy(material.folder, material.bytes, inspection.name, generation);
  if (!copy) return copy.error();
  if (auto copied = app::copy_libraries_beside(*copy, inspection.libraries_beside); !copied) {
    return copied.error();
  }
  material.observer.enter("loading (a constructor of a static object)", material.task.time_limit,
                          ::gettid());
  auto module = app::Module::load(*copy, inspection);
  if (!module) return module.error();
  return std::unique_ptr<Subject>(
      new Subject(material, *std::move(copy), *std::move(module), generation));
}

Subject::Subject(const Material& material, std::filesystem::path copy, app::Module module,
                 std::uint64_t generation)
    : observer_(material.observer),
      services_(material.services),
      limit_(material.task.time_limit),
      copy_(std::move(copy)) {
  const app::Inspection& inspection = material.inspection;
  const auto before = threads();
  auto code = std::make_unique<app::Generation>(
      std::move(module),
      app::Generation::Traits{.name = inspection.name,
                              .number = generation,
                              .blocking = inspection.blocking,
                              .serial = inspection.threads == app::Threads::serial,
                              .overrun = config::Overrun::wait},
      app::ServerView::Facts{
          .app_name = inspection.name, .mount = {}, .settings = material.task.settings},
      services_);
  for (const pid_t thread : threads()) {
    if (!before.contains(thread)) lifecycle_thread_ = thread;
  }
  app_ = std::make_unique<app::App>(app::App::Facts{.file = material.task.file,
                                                    .mount = {},
                                                    .body_limit = 0,
                                                    .settings = material.task.settings,
                                                    .inspection = inspection},
                                    std::move(code));
  router_.add(*app_);
}

app::Outcome Subject::start() {
  observer_.enter("start", limit_, lifecycle_thread_);
  return wait_for([&](auto done) { app_->current().start(std::move(done)); });
}

app::Outcome Subject::health() {
  observer_.enter("health", limit_, lifecycle_thread_);
  return wait_for([&](auto done) { app_->current().health(std::move(done)); });
}

app::Outcome Subject::ready() {
  observer_.enter("ready", limit_, lifecycle_thread_);
  const app::Occasion why{
      .reason = SONICORN_REASON_TEST, .signal_number = 0, .deadline = {}, .message = {}};
  return wait_for([&](auto done) { app_->current().ready(why, std::move(done)); });
}

Answer Subject::request(app::CallContext& context) {
  const config::Limits limits;
  http::Engine engine(limits);
  http::Request request;
  std::size_t consumed = 0;
  std::size_t no_body = 0;
  if (engine.receive(kRequest, consumed, request) == http::Engine::Step::head) {
    engine.accept_body(limits.body, kRequest.substr(consumed), no_body, request);
  }
  app::Generation& generation = app_->current();
  http::AppResponse response;
  http::Passage passage;
  Answer answer;
  const bool follows =
      passage.begin(router_, request.path, router_.find(request.path), http::Passage::now_ns());
  context.deadline_ns = 0;
  context.set_event("on_request");
  if (!generation.join_thread(context)) {
    answer.result = SONICORN_ERROR;
    answer.error = "thread_start refused the thread of the request";
  } else if (follows) {
    answer.result = passage.run(context, request, "", response);
  } else if (generation.handles_requests()) {
    answer.result = generation.on_request(context, http::abi_request(request, *app_, ""), response);
  } else {
    answer.result = SONICORN_DECLINED;
  }
  if (answer.result < 0 && answer.error.empty()) answer.error = context.take_error();
  if (answer.result == SONICORN_OK) answer.fault = http::ResponseWriter::fault_of(response);
  if (follows) {
    passage.set_result(answer.failed() ? SONICORN_OUTCOME_FAILED : SONICORN_OUTCOME_SENT);
    passage.set_answer(response.status, response.body.size);
  }
  response.drop();
  if (follows) passage.finish(context, request, "");
  return answer;
}

Answer Subject::request_on_new_thread() {
  Answer answer;
  observer_.enter("a request", limit_);
  std::thread thread([&] {
    ::pthread_setname_np(::pthread_self(), "request");
    const std::uint32_t role = traits().blocking ? SONICORN_THREAD_POOL : SONICORN_THREAD_IO;
    app::set_thread_role(role);
    app::CallContext context(SONICORN_SCOPE_REQUEST, role);
    answer = request(context);
    app::Generation::leave_thread(context);
    answer.blocked_signals = blocked_signals(::gettid());
  });
  thread.join();
  return answer;
}

Subject::Drained Subject::drain() {
  observer_.enter("drain", limit_, lifecycle_thread_);
  const auto finished = std::make_shared<std::promise<void>>();
  const app::Occasion why{.reason = SONICORN_REASON_TEST,
                          .signal_number = 0,
                          .deadline = Clock::now() + limit_,
                          .message = {}};
  Drained drained;
  drained.outcome = wait_for([&](auto done) {
    app_->current().drain(why, std::move(done), [finished] { finished->set_value(); });
  });
  drained.declined_for_ever =
      drained.outcome.result > 0 && !services_.offer.has(SONICORN_CAPABILITY_DRAIN);
  if (drained.declined_for_ever) return drained;
  observer_.enter("draining (it declined drain, and did not say finished)", limit_);
  finished->get_future().wait();
  return drained;
}

app::Outcome Subject::shutdown() {
  observer_.enter("shutdown", limit_ + kAfterDeadline, lifecycle_thread_);
  const app::Occasion why{.reason = SONICORN_REASON_TEST,
                          .signal_number = 0,
                          .deadline = Clock::now() + limit_,
                          .message = {}};
  return wait_for([&](auto done) { app_->current().shutdown(why, std::move(done)); });
}

}  // namespace sonicorn::conformance
