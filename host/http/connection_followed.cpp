#include <new>

#include "core/log.hpp"
#include "http/connection.hpp"
#include "http/loop.hpp"
#include "http/passage_run.hpp"

// The requests that apps follow from without their handler: filters, and those who are told of
// disconnects.
namespace sonicorn::http {
namespace {

// What the access log has for the status of an answer that was never written, as nginx does.
constexpr unsigned kClientLeft = 499;

}  // namespace

// As call() does it for a handler alone. Flat, for every request of a filtered mount goes through
// it.
[[gnu::flatten]] bool Connection::serve_followed(Request& now) {
  std::unique_ptr<Passage>& owner = loop_.passage();
  Passage& passage = *owner;
  if (!passage.begin(loop_.router(), now.path, app_, loop_.now_ns())) return false;
  passage_ = &owner;
  if (!passage.is_plain() && !may_run_here()) return true;
  app::CallContext& context = loop_.context_;
  context.running.generation.store(passage.first());
  if (loop_.cut_.load()) {
    passage_ = nullptr;
    close();
    context.end_calls();
  } else {
    context.running.count();
    context.deadline_ns = loop_.deadline_ns();
    AppResponse& response = loop_.response_;
    const std::int32_t result =
        passage.run_here(context, now, {remote_.data(), remote_size_}, response);
    if (result == SONICORN_OK) {
      send_followed(now, response);
    } else {
      fail(now, response, result, result < 0 ? context.take_error() : std::string());
    }
  }
  return true;
}

// A way that is not plain: where it may not be gone on this thread, the request is refused or given
// to the pool.
bool Connection::may_run_here() {
  Passage& passage = **passage_;
  if (passage.is_closed()) {
    // Nobody on it was called.
    passage_ = nullptr;
    wait_or_refuse();
    return false;
  }
  app::CallContext& context = loop_.context_;
  context.running.generation.store(passage.first());
  // Who is cut calls nobody, also to tell of the thread.
  if (loop_.cut_.load() || passage.may_run_here(context)) return true;
  call_on_pool(app_ != nullptr ? passage.first() : nullptr);
  context.end_calls();
  return false;
}

void Connection::send_followed(const Request& to, AppResponse& response) {
  if (const std::string_view fault = ResponseWriter::fault_of(response); !fault.empty()) {
    return refuse_fault(to, response, fault);
  }
  if ((*passage_)->has_fields()) (*passage_)->set_fields(response);
  const std::uint32_t status = response.status;
  const std::uint64_t body_size = to.head_only ? 0 : response.body.size;
  write_answer(to, response);
  complete(to, status, body_size);
}

// With the fields that filters set.
void Connection::refuse_followed(const Request& to, const Refusal& refusal, bool json) {
  Passage& passage = **passage_;
  if (refusal.status == 500) passage.set_result(SONICORN_OUTCOME_FAILED);
  AppResponse& response = loop_.response_;
  response.reset();
  ResponseWriter::fill_in(response, refusal, json);
  const std::uint64_t body_size = to.head_only ? 0 : response.body.size;
  if (passage.has_fields()) passage.set_fields(response);
  if (loop_.access_ != nullptr) log_response(to, response);
  loop_.writer_.write(output(), to, response, ending_);
  complete(to, refusal.status, body_size);
}

// The response is written: whoever followed the request is told once it has ended. What the request
// called is over.
void Connection::complete(const Request& to, std::uint32_t status, std::uint64_t body_size) {
  const app::CallContext::Calls calls(loop_.context_, true);
  std::unique_ptr<Passage>& passage = *std::exchange(passage_, nullptr);
  if (passage->result() == 0) passage->set_result(SONICORN_OUTCOME_SENT);
  passage->set_answer(status, body_size);
  if (!closed() && !stalled_) flush();
  if (closed()) {
    passage->set_result(SONICORN_OUTCOME_DISCONNECTED);
  } else if (stalled_) {
    if (!passage->owes() && !passage->watches()) return;
    passage->end = sent_ + output().size();
    passage->request = to.clone();
    passage->next = std::move(unsent_);
    unsent_ = std::move(passage);
    return;
  }
  loop_.finish_here(passage, to, {remote_.data(), remote_size_});
}

// The responses that were on their way have ended, all those that were not sent as `result` says.
void Connection::end_passages(std::uint32_t result) try {
  while (unsent_ != nullptr) {
    std::unique_ptr<Passage> passage = std::move(unsent_);
    unsent_ = std::move(passage->next);
    if (passage->end > sent_) passage->set_result(result);
    const std::unique_ptr<Request> request = std::move(passage->request);
    loop_.finish(passage, *request, {remote_.data(), remote_size_});
  }
} catch (const std::bad_alloc&) {
  core::log::error("out of memory: who followed a request is not told of its end");
}

// Nobody waits for its answer any more. The pool may be working on it.
void Connection::abandon(PoolCall& call) try {
  call.connection = nullptr;
  call.given_up = true;
  if (loop_.access_ != nullptr) log_answer(*call.request, kClientLeft, 0);
  if (call.passage == nullptr) return;
  std::unique_ptr<Passage> owing = call.passage->give_up(SONICORN_OUTCOME_DISCONNECTED, 0);
  if (owing->owes()) {
    loop_.finish(owing, *call.request->clone(), {remote_.data(), remote_size_});
  }
} catch (const std::bad_alloc&) {
  core::log::error("out of memory: who followed a request is not told of its end");
}

}  // namespace sonicorn::http
