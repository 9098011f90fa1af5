#include "http/connection.hpp"

#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <new>
#include <utility>

#include "core/log.hpp"
#include "http/abi_request.hpp"
#include "http/access_log.hpp"
#include "http/health.hpp"
#include "http/loop.hpp"
#include "http/refused_head.hpp"

namespace sonicorn::http {
namespace {

constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";
constexpr std::size_t kVectors = 64;
// What is read of a body at once; more only once that much has come, so that a client cannot claim
// memory with a number.
constexpr std::size_t kBodyRead = 16 * 1024;
constexpr std::size_t kMaxBodyRead = 256 * 1024;
constexpr std::uint32_t kMaxDiscard = 1024 * 1024;
// A new connection is not closed for others before this.
constexpr std::chrono::milliseconds kFirstRequest{1'000};

// `used` is never beyond the end, so there is no bound to check.
std::string_view rest_of(std::string_view input, std::size_t used) {
  return {input.data() + used, input.size() - used};
}

}  // namespace

Connection::Connection(Loop& loop, int fd, std::string_view remote)
    : loop_(loop),
      fd_(fd),
      watched_(EPOLLIN),
      remote_size_(static_cast<std::uint8_t>(std::min(remote.size(), kRemoteSize))),
      engine_(loop.limits_) {
  std::memcpy(remote_.data(), remote.data(), remote_size_);
}

Request& Connection::request() { return held_ ? *held_ : *loop_.request_; }

Output& Connection::output() { return pending_ ? *pending_ : loop_.output_; }

void Connection::on_ready(std::uint32_t events) {
  if (closed()) return;
  try {
    if ((events & EPOLLOUT) != 0) on_writable();
    if (closed()) return;
    if ((events & EPOLLIN) != 0) {
      if (phase_ == Phase::lingering) return discard();
      if (reading()) return read();
      watch(watched_ & ~static_cast<std::uint32_t>(EPOLLIN));
    }
    if ((events & (EPOLLERR | EPOLLHUP)) != 0) close();
  } catch (const std::bad_alloc&) {
    cut_for_memory();
  }
}

// What was written for this peer must not reach the next one.
void Connection::cut_for_memory() {
  core::log::error("out of memory: one connection was cut");
  loop_.context_.end_calls();
  passage_ = nullptr;
  close();
  loop_.output_.clear();
  loop_.response_.drop();
}

void Connection::read() {
  if (held_ != nullptr) {
    if (const std::uint64_t left = engine_.body_left(*held_); left > 0) {
      return read_body_in_place(left);
    }
  }
  const ssize_t count = ::recv(fd_, loop_.read_buffer_.get(), Loop::kReadSize, 0);
  if (count > 0) return take_input({loop_.read_buffer_.get(), static_cast<std::size_t>(count)});
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  close();
}

void Connection::read_body_in_place(std::uint64_t left) {
  ByteBuffer& body = held_->body_storage;
  const std::size_t room = std::clamp(body.size(), kBodyRead, kMaxBodyRead);
  const auto want = static_cast<std::size_t>(std::min<std::uint64_t>(left, room));
  const ssize_t count = ::recv(fd_, body.reserve(want), want, 0);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count <= 0) return close();
  body.commit(static_cast<std::size_t>(count));
  std::size_t none = 0;
  if (engine_.receive({}, none, *held_) == Engine::Step::request) serve();
  settle();
}

void Connection::take_input(std::string_view input) {
  if (carry_.empty()) {
    const std::size_t used = process(input);
    if (used != input.size() && !closed()) carry_.append(rest_of(input, used));
  } else {
    carry_.append(input);
    carry_.erase_front(process(carry_.view()));
  }
  settle();
}

std::size_t Connection::process(std::string_view input) {
  std::size_t used = 0;
  while (reading() && used < input.size()) {
    std::size_t taken = 0;
    Engine::Step step = engine_.receive(rest_of(input, used), taken, request());
    used += taken;
    if (step == Engine::Step::head) step = accept_body(input, used);
    if (step == Engine::Step::refused) {
      refuse_and_end(engine_.refusal());
      break;
    }
    if (step == Engine::Step::more) {
      if (engine_.in_body() && app_ == nullptr && !loop_.router().follows() &&
          request().expects_continue) {
        // The client waits to be told: it need not send a body for nobody.
        refuse_and_end(loop_.router().is_closed(request().path) ? refusals::kDrained
                                                                : refusals::kNotFound);
      } else if (engine_.in_body() && held_ == nullptr) {
        held_ = std::exchange(loop_.request_, loop_.take_request());
      }
      break;
    }
    serve();
    if (output().size() >= Loop::kFlushSize) flush();
  }
  return used;
}

Engine::Step Connection::accept_body(std::string_view input, std::size_t& used) {
  Request& now = request();
  app_ = now.server_wide ? nullptr : loop_.router().find(now.path);
  std::size_t taken = 0;
  const std::uint64_t limit = app_ != nullptr ? app_->body_limit() : loop_.limits_.body;
  const Engine::Step step = engine_.accept_body(limit, rest_of(input, used), taken, now);
  used += taken;
  const bool wanted = app_ != nullptr || loop_.router().follows();
  if (step == Engine::Step::more && wanted && engine_.take_continue()) {
    output().append(kContinue);
  }
  return step;
}

// Whoever stops the server marks the thread as cut and then looks at what runs; this looks in the
// other order, so one of the two sees the other.
inline void Connection::call(app::Generation& generation) {
  app::CallContext::Running& running = loop_.context_.running;
  running.count();
  running.generation.store(&generation);
  loop_.callee_ = &generation;
  if (loop_.cut_.load()) {
    close();
  } else if (generation.traits().blocking || !generation.join_thread(loop_.context_)) {
    call_on_pool(&generation);
  } else {
    call_here(generation);
  }
  running.generation.store(nullptr, std::memory_order_release);
}

inline void Connection::call_here(app::Generation& generation) {
  Request& now = request();
  AppResponse& response = loop_.response_;
  response.reset();
  const sonicorn_request as_abi = abi_request(now, *app_, {remote_.data(), remote_size_});
  loop_.context_.deadline_ns = loop_.deadline_ns();
  const std::int32_t result = generation.on_request(loop_.context_, as_abi, response);
  if (result == SONICORN_OK) return send(now, response);
  fail(now, response, result, result < 0 ? loop_.context_.take_error() : std::string());
}

bool Connection::answer_for_health(const Request& to) {
  const std::string_view what = loop_.router().health_in(to.path);
  if (what != "/livez" && what != "/readyz") return false;
  const std::string why_not = what == "/livez" ? "" : Health::of_process().why_not();
  const std::string text = what == "/livez"  ? "alive\n"
                           : why_not.empty() ? "ready\n"
                                             : "not ready: " + why_not + "\n";
  AppResponse& response = loop_.response_;
  response.reset();
  response.status = why_not.empty() ? 200 : 503;
  response.content_type = SONICORN_STRING("text/plain");
  response.body = {text.data(), text.size()};
  send(to, response);
  return true;
}

void Connection::serve() {
  // The clock of what comes next starts with it.
  if (phase_ != Phase::idle) loop_.enter(*this, Phase::idle);
  Request& now = request();
  if (loop_.access_ != nullptr) loop_.access_->trace(now);
  if (app_ == nullptr && !now.server_wide && loop_.router().is_closed(now.path)) [[unlikely]] {
    if (!answer_for_health(now)) refuse(now, refusals::kDrained);
  } else if (loop_.router().follows() && serve_followed(now)) [[unlikely]] {
    // It is done.
  } else if (app_ != nullptr) {
    app::Generation* const generation = app_->serving();
    generation != nullptr ? call(*generation) : wait_or_refuse();
  } else if (now.server_wide) {
    loop_.response_.reset();
    loop_.response_.status = 204;
    send(now, loop_.response_);
  } else {
    refuse(now, refusals::kNotFound);
  }
  if (echoing_ && held_ == nullptr) {
    held_ = std::exchange(loop_.request_, loop_.take_request());
  }
  give_back(held_);
}

bool Connection::is_way_open() const {
  const std::vector<app::App*>& filters = loop_.router().filters();
  return (app_ == nullptr || app_->serving() != nullptr) &&
         std::all_of(filters.begin(), filters.end(),
                     [](const app::App* app) { return app->serving() != nullptr; });
}

void Connection::wait_or_refuse() {
  const auto holds = [](const app::App* app) { return app->is_holding(); };
  const std::vector<app::App*>& filters = loop_.router().filters();
  if ((app_ == nullptr || !app_->is_holding()) &&
      std::none_of(filters.begin(), filters.end(), holds) &&
      // Who held it may have let go between two looks.
      !is_way_open()) {
    return refuse(request(), refusals::kDrained);
  }
  std::unique_ptr<PoolCall> call = loop_.take_call();
  call->request = held_ ? std::move(held_) : std::exchange(loop_.request_, loop_.take_request());
  call->request->own();
  call->app = app_;
  call->generation = nullptr;
  call->home = &loop_;
  call->connection = this;
  call_ = call.get();
  loop_.enter(*this, Phase::holding);
  loop_.wait(std::move(call));
}

void Connection::go_on(std::unique_ptr<PoolCall> call, bool serves) {
  call_ = nullptr;
  try {
    app_ = call->app;
    held_ = std::move(call->request);
    loop_.give_back(std::move(call));
    if (serves) {
      serve();
    } else {
      refuse(*held_, refusals::kDrained);
      give_back(held_);
    }
    if (closed() || call_ != nullptr) return;
    after_answer();
  } catch (const std::bad_alloc&) {
    cut_for_memory();
  }
}

// The answer to a request that did not come in one go is written.
void Connection::after_answer() {
  if (stalled_) {
    loop_.enter(*this, Phase::writing);
  } else {
    loop_.enter(*this, Phase::idle);
    watch(EPOLLIN);
  }
  carry_.erase_front(process(carry_.view()));
  settle();
}

void Connection::call_on_pool(app::Generation* generation) {
  std::unique_ptr<PoolCall> call = loop_.take_call();
  call->request = held_ ? std::move(held_) : std::exchange(loop_.request_, loop_.take_request());
  call->request->own();
  call->remote.assign(remote_.data(), remote_size_);
  call->app = app_;
  call->generation = generation;
  pool_generation_ = generation != nullptr ? generation->traits().number : 0;
  if (passage_ != nullptr) {
    call->passage = std::move(*std::exchange(passage_, nullptr));
    call->passage->share();
  }
  call->deadline_ns = loop_.deadline_ns();
  call->begin_by_ns = loop_.begin_by_ns();
  call->home = &loop_;
  call->connection = this;
  PoolCall* const submitted = call.get();
  if (loop_.executor_.submit(call)) {
    call_ = submitted;
    loop_.enter(*this, Phase::handling);
    return;
  }
  if (call->passage != nullptr) passage_ = &call->passage;
  refuse(*call->request, refusals::kBusy);
  loop_.give_back(std::move(call));
}

void Connection::on_answer(std::unique_ptr<PoolCall> call) {
  call_ = nullptr;
  try {
    app_ = call->app;
    loop_.callee_ = call->generation;
    if (call->passage != nullptr) {
      passage_ = &call->passage;
      loop_.context_.running.count();
    }
    if (call->late) {
      refuse(*call->request, refusals::kBusy);
    } else if (call->result == SONICORN_OK) {
      passage_ != nullptr ? send_followed(*call->request, call->response)
                          : send(*call->request, call->response);
    } else {
      fail(*call->request, call->response, call->result, call->error);
    }
    give_back(call->request);
    loop_.give_back(std::move(call));
    if (!closed()) after_answer();
  } catch (const std::bad_alloc&) {
    cut_for_memory();
  }
}

std::pair<app::Generation*, std::string_view> Connection::last_called() const {
  if (passage_ != nullptr && (*passage_)->failed_app() != nullptr) {
    return {(*passage_)->failed_generation(), (*passage_)->failed_attribute()};
  }
  return {passage_ != nullptr ? (*passage_)->first() : loop_.callee_, "on_request"};
}

void Connection::fail(const Request& to, AppResponse& response, std::int32_t result,
                      const std::string& error) {
  response.drop();
  if (result > 0) return refuse(to, refusals::kNotFound);
  const auto [failed, attribute] = last_called();
  failed->count_error();
  core::log::error("app {}: {} failed ({}, generation {}): {}", failed->name(), attribute, result,
                   failed->traits().number,
                   error.empty() ? "it gave no text (sonicorn_fail)" : error);
  refuse(to, refusals::kAppFailed);
}

void Connection::send(const Request& to, AppResponse& response) {
  if (const std::string_view fault = ResponseWriter::fault_of(response); !fault.empty()) {
    return refuse_fault(to, response, fault);
  }
  write_answer(to, response);
}

void Connection::write_answer(const Request& to, AppResponse& response) {
  count_request(to);
  if (loop_.access_ != nullptr) log_response(to, response);
  Output& out = output();
  loop_.writer_.write(out, to, response, ending_);
  // The memory behind what is borrowed is the request's or the response's, and both are used again.
  // Only a request can be kept from that.
  if (!out.fleeting()) return;
  const std::string_view body(response.body.data, response.body.size);
  flush();
  echoing_ = stalled_ && to.owns(body);
  if (!closed() && !echoing_) output().keep();
}

void Connection::refuse_fault(const Request& to, AppResponse& response, std::string_view fault) {
  const auto [answered, attribute] = last_called();
  answered->count_error();
  core::log::error("app {}: the response of its {} cannot be sent (generation {}): {}",
                   answered->name(), attribute, answered->traits().number, fault);
  response.drop();
  refuse(to, refusals::kAppFailed);
}

// After it was answered.
void Connection::give_back(std::unique_ptr<Request>& request) {
  if (std::exchange(echoing_, false)) {
    echoed_ = std::move(request);
  } else if (request != nullptr) {
    loop_.give_back(std::move(request));
  }
}

void Connection::count_request(const Request& to) {
  ++served_;
  if (served_ >= loop_.most_requests_) ending_ = server_ends_ = true;
  if (!to.keep_alive) ending_ = true;
}

void Connection::refuse(const Request& to, const Refusal& refusal) {
  count_request(to);
  const bool json = ResponseWriter::wants_json(to);
  if (passage_ != nullptr) return refuse_followed(to, refusal, json);
  const std::size_t body_size =
      loop_.writer_.write_refusal(output(), refusal, json, to.head_only, ending_, to.version == 10);
  if (loop_.access_ != nullptr) log_answer(to, refusal.status, body_size);
}

void Connection::refuse_and_end(const Refusal& refusal) {
  ending_ = true;
  refused_ = true;
  const Request& to = request();
  const std::size_t body_size = loop_.writer_.write_refusal(
      output(), refusal, ResponseWriter::wants_json(to), to.head_only, true, false);
  if (loop_.access_ != nullptr) log_answer(to, refusal.status, body_size);
}

void Connection::queue() {
  is_extra_ = true;
  loop_.count_extra(1);
  watch(0);
  loop_.enter(*this, Phase::queued);
}

void Connection::admit() {
  is_extra_ = false;
  loop_.count_extra(-1);
  watch(EPOLLIN);
  loop_.enter(*this, Phase::idle);
}

void Connection::refuse_at_once() {
  try {
    loop_.request_->reset();
    refuse_and_end(refusals::kBusy);
    settle();
  } catch (const std::bad_alloc&) {
    cut_for_memory();
  }
}

void Connection::settle() {
  if (closed()) return loop_.output_.clear();
  if (!stalled_ && !output().empty()) flush();
  if (closed() || stalled_ || call_ != nullptr) return;
  if (ending_) return end();
  if (engine_.in_body()) {
    if (phase_ != Phase::body) loop_.enter(*this, Phase::body);
  } else if (!carry_.empty()) {
    if (phase_ != Phase::head) loop_.enter(*this, Phase::head);
  } else {
    carry_.trim(0);
    if (loop_.closes_idle_ && served_ > 0) return close();
    loop_.enter(*this, Phase::idle);
  }
}

bool Connection::flush() {
  Output& out = output();
  while (!out.empty()) {
    ssize_t sent;
    if (const std::string_view plain = out.plain(); !plain.empty()) {
      sent = ::send(fd_, plain.data(), plain.size(), MSG_NOSIGNAL);
    } else {
      std::array<iovec, kVectors> vectors;
      msghdr message{};
      message.msg_iov = vectors.data();
      message.msg_iovlen = out.gather(vectors);
      sent = ::sendmsg(fd_, &message, MSG_NOSIGNAL);
    }
    if (sent < 0) {
      if (errno == EINTR) continue;
      if (errno == EAGAIN) {
        stall();
        return false;
      }
      close();
      loop_.output_.clear();
      return false;
    }
    out.consume(static_cast<std::size_t>(sent));
    sent_ += static_cast<std::uint64_t>(sent);
    if (stalled_ && call_ == nullptr) loop_.enter(*this, Phase::writing);
  }
  return true;
}

void Connection::stall() {
  if (stalled_) return;
  stalled_ = true;
  pending_ = std::make_unique<Output>(std::move(loop_.output_));
  watch(EPOLLOUT);
  if (call_ == nullptr) loop_.enter(*this, Phase::writing);
}

void Connection::on_writable() {
  if (!stalled_ || !flush()) return;
  stalled_ = false;
  pending_.reset();
  give_back(echoed_);
  if (unsent_ != nullptr) end_passages(SONICORN_OUTCOME_SENT);
  watch(EPOLLIN);
  if (call_ != nullptr) return;
  carry_.erase_front(process(carry_.view()));
  settle();
}

// Closing over bytes that were not read, or before those that are on their way, resets the
// connection, and the peer loses what it has not read of the answer.
bool Connection::peer_may_lose_answer() const {
  return refused_ || server_ends_ || !carry_.empty() || has_unread();
}

bool Connection::has_unread() const {
  char next;
  return ::recv(fd_, &next, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

bool Connection::can_be_shed() const {
  return (served_ > 0 || loop_.now_ - since_ >= kFirstRequest) && !has_unread();
}

bool Connection::has_yet_to_ask() const { return served_ == 0 && !has_unread(); }

void Connection::end() {
  if (!peer_may_lose_answer()) return close();
  ::shutdown(fd_, SHUT_WR);
  carry_.clear();
  carry_.trim(0);
  watch(EPOLLIN);
  loop_.enter(*this, Phase::lingering);
  discard();
}

void Connection::discard() {
  for (;;) {
    const ssize_t count = ::recv(fd_, loop_.read_buffer_.get(), Loop::kReadSize, 0);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && errno == EAGAIN) return;
    if (count <= 0) return close();
    discarded_ += static_cast<std::uint32_t>(count);
    if (discarded_ > kMaxDiscard) return close();
  }
}

void Connection::on_expired() {
  try {
    expire();
  } catch (const std::bad_alloc&) {
    cut_for_memory();
  }
}

void Connection::expire() {
  switch (phase_) {
    case Phase::idle:
    case Phase::writing:
    case Phase::lingering:
      return close();
    case Phase::queued:
      return refuse_at_once();
    case Phase::head:
      read_refused_head(carry_.view(), *loop_.request_);
      break;
    case Phase::body:
    case Phase::holding:  // has its own limit (Loop::expire_waiting)
      break;
    case Phase::handling: {
      core::log::warning(
          "app {}: a request takes longer than the request time ({} ms); the client got a 503",
          call_->app != nullptr ? call_->app->name() : call_->passage->first()->name(),
          loop_.limits_.request_time.count());
      PoolCall* const given_up = std::exchange(call_, nullptr);
      given_up->connection = nullptr;
      given_up->given_up = true;
      ending_ = true;
      std::unique_ptr<Passage> owing;
      if (given_up->passage != nullptr) {
        owing =
            given_up->passage->give_up(SONICORN_OUTCOME_TIMED_OUT, refusals::kAppTooSlow.status);
        passage_ = &owing;
      }
      refuse(*given_up->request, refusals::kAppTooSlow);
      refused_ = true;
      if (stalled_) return loop_.enter(*this, Phase::writing);
      return settle();
    }
  }
  refuse_and_end(refusals::kTimeout);
  settle();
}

void Connection::on_stop() {
  if (phase_ == Phase::queued) admit();
  if (phase_ != Phase::idle || call_ != nullptr) return;
  // A request that has arrived is served; read() then sees that the server stops.
  const bool waits = served_ == 0 || !loop_.closes_idle_;
  if (waits) loop_.enter(*this, Phase::idle);
  on_ready(EPOLLIN);
  if (!closed() && phase_ == Phase::idle && !waits) close();
}

bool Connection::body_too_slow() const {
  const auto waited = std::chrono::duration_cast<std::chrono::milliseconds>(loop_.now_ - since_);
  const std::uint64_t came = held_ != nullptr ? held_->body_storage.size() : 0;
  return came * 1000 < loop_.limits_.body_rate * static_cast<std::uint64_t>(waited.count());
}

void Connection::watch(std::uint32_t events) {
  if (watched_ == events) return;
  watched_ = events;
  loop_.sockets_.change(fd_, events, *this);
}

void Connection::close() {
  if (closed()) return;
  if (call_ != nullptr) abandon(*std::exchange(call_, nullptr));
  // A child that an app forked may hold the socket too, and the set would go on telling of it.
  loop_.sockets_.remove(fd_);
  ::shutdown(fd_, SHUT_RDWR);
  ::close(std::exchange(fd_, -1));
  pending_.reset();
  loop_.give_back(std::move(echoed_));
  // The request in hand stays: whoever is about to be told of its end is told with it.
  loop_.retire(*this);
  if (unsent_ != nullptr) end_passages(SONICORN_OUTCOME_DISCONNECTED);
}

}  // namespace sonicorn::http
