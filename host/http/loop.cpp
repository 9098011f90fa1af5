#include "http/loop.hpp"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <limits>
#include <new>
#include <system_error>

#include "http/passage_run.hpp"

namespace sonicorn::http {
namespace {

constexpr std::chrono::milliseconds kLinger{2'000};
constexpr std::chrono::milliseconds kLingerOnStop{500};
// A connection may have a request under way when the server stops.
constexpr std::chrono::milliseconds kIdleOnStop{1'000};
constexpr std::size_t kSpares = 64;
constexpr std::size_t kMostNewcomers = 256;
// Memory for bodies that a thread keeps: to take a large one afresh costs more than to fill it.
constexpr std::size_t kSpareBytes = 8 * 1024 * 1024;
// Who has just been answered often asks again at once. So the thread stays with its sockets until
// there is a lull, or the others on the io_context have waited for long enough.
constexpr int kRounds = 64;
constexpr int kLullMs = 1;

}  // namespace

Loop::Loop(const std::atomic<const routing::Router*>& router, const config::Limits& limits,
           Executor& executor, Places& places, AccessLog* access_log,
           std::chrono::milliseconds hold_time)
    : router_(router),
      limits_(limits),
      executor_(executor),
      wake_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)),
      handling_ns_(static_cast<std::uint64_t>(
          std::chrono::nanoseconds(limits.request_time - limits.queue_limit()).count())),
      most_requests_(limits.keep_alive_requests != 0 ? limits.keep_alive_requests
                                                     : std::numeric_limits<std::uint64_t>::max()),
      places_(places),
      read_buffer_(new char[kReadSize]),
      request_(std::make_unique<Request>()),
      access_(access_log != nullptr ? std::make_unique<AccessLines>(*access_log) : nullptr),
      context_(SONICORN_SCOPE_REQUEST, SONICORN_THREAD_IO),
      hold_time_(hold_time) {
  if (wake_ < 0 || !sockets_.add(wake_, EPOLLIN, *this)) {
    throw std::system_error(errno, std::generic_category(), "eventfd");
  }
  // What is given back must find its place also when there is no memory.
  spare_requests_.reserve(kSpares);
  spare_calls_.reserve(kSpares);
  newcomers_.reserve(kMostNewcomers);
  taken_in_.reserve(kMostNewcomers);
  context_.set_event("on_request");
  read_clock();
}

Loop::~Loop() {
  abort();
  for (const Newcomer& each : newcomers_) ::close(each.fd);
  while (completed_ != nullptr) {
    delete std::exchange(completed_, completed_->next);
  }
  ::close(wake_);
}

[[gnu::always_inline]] inline void Loop::read_clock_inline() {
  timespec time{};
  // Who follows requests is told how long they took, and so is the access log.
  const bool exact = router().follows() || access_ != nullptr;
  ::clock_gettime(exact ? CLOCK_MONOTONIC : CLOCK_MONOTONIC_COARSE, &time);
  now_ =
      Clock::time_point(std::chrono::seconds(time.tv_sec) + std::chrono::nanoseconds(time.tv_nsec));
  deadline_ns_ = static_cast<std::uint64_t>(
      std::chrono::nanoseconds((now_ + limits_.request_time).time_since_epoch()).count());
  ::clock_gettime(CLOCK_REALTIME_COARSE, &time);
  writer_.set_time(time.tv_sec);
}

void Loop::read_clock() { read_clock_inline(); }

Connection* Loop::make(int fd, std::string_view remote) {
  read_clock();
  std::unique_ptr<Connection> connection(new (std::nothrow) Connection(*this, fd, remote));
  if (connection == nullptr || !sockets_.add(fd, EPOLLIN, *connection)) {
    ::close(fd);
    return nullptr;
  }
  count(1);
  places_.open.fetch_add(1, std::memory_order_relaxed);
  enter(*connection, Phase::idle);
  return connection.release();
}

void Loop::adopt(int fd, std::string_view remote) {
  make(fd, remote);
  note_idle();
}

bool Loop::hand_in(int fd, std::string_view remote, Entry entry) {
  {
    const std::lock_guard lock(newcomers_mutex_);
    if (!takes_ || newcomers_.size() == kMostNewcomers) return false;
    Newcomer& last = newcomers_.emplace_back(Newcomer{fd, entry, {}, 0});
    last.remote_size = static_cast<std::uint8_t>(
        remote.copy(last.remote.data(), std::min(remote.size(), last.remote.size())));
    ++handed_;
    places_.open.fetch_add(1, std::memory_order_relaxed);
  }
  wake();
  return true;
}

void Loop::take_in() {
  {
    const std::lock_guard lock(newcomers_mutex_);
    taken_in_.swap(newcomers_);
  }
  for (const Newcomer& each : taken_in_) {
    const std::string_view remote(each.remote.data(), each.remote_size);
    const bool has_room = each.entry == Entry::free || (!has_queued() && shed_idle());
    has_room ? adopt(each.fd, remote) : queue(each.fd, remote);
    // Now it is counted as a connection, or there is none.
    --handed_;
    places_.open.fetch_sub(1, std::memory_order_relaxed);
  }
  taken_in_.clear();
}

void Loop::serve_ready() {
  int wait = 0;
  for (int round = 0; round < kRounds; ++round) {
    const int ready = sockets_.wait(wait);
    if (ready == 0) break;
    read_clock_inline();
    telling_ = true;
    sockets_.tell(ready);
    telling_ = false;
    if (has_queued()) admit();
    if (!dead_.empty()) bury();
    note_idle();
    // Before an app may end the process.
    flush_access_lines();
    wait = kLullMs;
  }
  if (!awaited_.empty()) tell_free();
}

void Loop::enter(Connection& connection, Phase phase) {
  connection.since_ = now_;
  // The last of its list already: one busy connection, mostly.
  if (connection.phase_ == phase && connection.is_linked() && &list(phase).back() == &connection) {
    return;
  }
  connection.unlink();
  connection.phase_ = phase;
  list(phase).push_back(connection);
}

void Loop::retire(Connection& connection) {
  connection.unlink();
  dead_.push_back(connection);
  count(-1);
  if (connection.is_extra_) count_extra(-1);
  places_.open.fetch_sub(1, std::memory_order_relaxed);
}

void Loop::bury() {
  if (telling_ || dead_.empty()) return;
  dead_.clear_and_dispose([this](Connection* connection) {
    give_back(std::move(connection->held_));
    delete connection;
  });
  if (size() == 0 && emptied_) std::exchange(emptied_, nullptr)();
}

void Loop::expire(Phase phase, std::chrono::milliseconds limit) {
  List& waiting = list(phase);
  while (!waiting.empty() && now_ - waiting.front().since() >= limit) {
    Connection& late = waiting.front();
    late.on_expired();
    // Whatever it did, it must not be looked at again in this round.
    if (!waiting.empty() && &waiting.front() == &late) late.close();
  }
}

void Loop::tick() {
  read_clock();
  expire(Phase::idle, limits_.keep_alive_time);
  expire(Phase::head, limits_.head_time);
  expire(Phase::handling, limits_.request_time);
  expire(Phase::writing, limits_.write_time);
  expire(Phase::lingering, stopping_ ? kLingerOnStop : kLinger);
  if (has_queued()) admit();
  if (has_queued()) expire(Phase::queued, somebody_may_ask() ? kQueueTimeAtMost : kQueueTime);
  for (auto at = list(Phase::body).begin(); at != list(Phase::body).end();) {
    Connection& each = *at++;
    if (now_ - each.since() < limits_.body_grace) break;
    if (each.body_too_slow()) each.on_expired();
  }
  if (stopping_) {
    expire(Phase::idle, kIdleOnStop);
  }
  if (!waiting_.empty()) expire_waiting();
  bury();
  note_idle();
  flush_access_lines();
  if (!awaited_.empty()) tell_free();
}

void Loop::stop(bool goes_on, std::function<void()> emptied) {
  {
    const std::lock_guard lock(newcomers_mutex_);
    takes_ = false;
  }
  take_in();
  read_clock();
  stopping_ = true;
  closes_idle_ = !goes_on;
  most_requests_ = 0;
  emptied_ = std::move(emptied);
  for (List& each : lists_) {
    List open;
    open.swap(each);
    while (!open.empty()) {
      Connection& connection = open.front();
      open.pop_front();
      each.push_back(connection);
      connection.on_stop();
    }
  }
  bury();
  flush_access_lines();
  if (size() == 0 && emptied_) std::exchange(emptied_, nullptr)();
}

void Loop::dismiss_idle() {
  // Else stop() is still to come, and told of it.
  if (!stopping_) return;
  read_clock();
  closes_idle_ = true;
  List& idle = list(Phase::idle);
  for (auto at = idle.begin(); at != idle.end();) {
    Connection& each = *at++;
    // Who has not asked yet has his second as before.
    if (each.served_ > 0) each.on_stop();
  }
  bury();
  flush_access_lines();
}

void Loop::abort() {
  {
    const std::lock_guard lock(newcomers_mutex_);
    takes_ = false;
  }
  take_in();
  for (List& each : lists_) {
    while (!each.empty()) each.front().close();
  }
  flush_access_lines();
  bury();
}

void Loop::complete(std::unique_ptr<PoolCall> call) {
  bool first;
  {
    const std::lock_guard lock(completed_mutex_);
    first = completed_ == nullptr;
    call->next = std::exchange(completed_, call.get());
    [[maybe_unused]] PoolCall* const kept = call.release();
  }
  if (first) wake();
}

void Loop::wake() const {
  const std::uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = ::write(wake_, &one, sizeof(one));
}

void Loop::on_ready(std::uint32_t) {
  std::uint64_t count;
  [[maybe_unused]] const ssize_t read = ::read(wake_, &count, sizeof(count));
  take_answers();
  // Whom somebody new may take the place of is known when all that is ready was told.
  if (handed_.load() != 0) sockets_.tell_at_end(*this);
}

void Loop::on_told() { take_in(); }

void Loop::take_answers() {
  PoolCall* latest_first;
  {
    const std::lock_guard lock(completed_mutex_);
    latest_first = std::exchange(completed_, nullptr);
  }
  PoolCall* ready = nullptr;
  while (latest_first != nullptr) {
    PoolCall* const rest = latest_first->next;
    latest_first->next = std::exchange(ready, latest_first);
    latest_first = rest;
  }
  while (ready != nullptr) {
    std::unique_ptr<PoolCall> call(std::exchange(ready, ready->next));
    if (Connection* const connection = call->connection) {
      connection->on_answer(std::move(call));
    } else {
      give_back(std::move(call));
    }
  }
}

std::unique_ptr<Request> Loop::take_request() {
  if (spare_requests_.empty()) return std::make_unique<Request>();
  std::unique_ptr<Request> taken = std::move(spare_requests_.back());
  spare_requests_.pop_back();
  spare_bytes_ -= taken->body_storage.capacity();
  return taken;
}

void Loop::give_back(std::unique_ptr<Request> request) {
  if (request == nullptr || spare_requests_.size() >= kSpares) return;
  request->reset();
  request->body_storage.trim(kSpareBytes - spare_bytes_);
  spare_bytes_ += request->body_storage.capacity();
  spare_requests_.push_back(std::move(request));
}

std::unique_ptr<PoolCall> Loop::take_call() {
  if (spare_calls_.empty()) return std::make_unique<PoolCall>();
  std::unique_ptr<PoolCall> taken = std::move(spare_calls_.back());
  spare_calls_.pop_back();
  return taken;
}

void Loop::give_back(std::unique_ptr<PoolCall> call) {
  give_back(std::move(call->request));
  call->clear();
  if (spare_calls_.size() < kSpares) spare_calls_.push_back(std::move(call));
}

void Loop::finish_on_pool(std::unique_ptr<Passage>& passage, const Request& request,
                          std::string_view remote) {
  std::unique_ptr<PoolCall> call = take_call();
  if (passage->request == nullptr) passage->request = request.clone();
  passage->remote.assign(remote);
  call->passage = std::move(passage);
  call->owed = true;
  call->deadline_ns = deadline_ns();
  call->home = this;
  executor_.submit_owed(std::move(call));
}

}  // namespace sonicorn::http
