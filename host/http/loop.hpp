#pragma once

#include <array>
#include <atomic>
#include <boost/intrusive/list.hpp>
#include <chrono>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "app/call_context.hpp"
#include "config/config.hpp"
#include "http/access_log.hpp"
#include "http/connection.hpp"
#include "http/epoll_set.hpp"
#include "http/output.hpp"
#include "http/passage.hpp"
#include "http/places.hpp"
#include "http/pool_call.hpp"
#include "http/response_writer.hpp"
#include "routing/router.hpp"

namespace sonicorn::http {

// What the connections of one I/O thread share: the set of their sockets, the buffers they borrow
// while they have bytes, the lists by which they time out. Lives on its thread; complete() is for
// any.
class Loop final : private PollTarget {
 public:
  using Clock = std::chrono::steady_clock;

  // All of them outlive the loop, which is made on its own thread. `access_log`, unless null, is
  // told of every request. Each request finds its app by the router that is current then; one that
  // is not current any more may still be in use until this thread has done what it was told after
  // that. A request waits for at most `hold_time` for an app that is about to be replaced.
  Loop(const std::atomic<const routing::Router*>& router, const config::Limits& limits,
       Executor& executor, Places& places, AccessLog* access_log = nullptr,
       std::chrono::milliseconds hold_time = std::chrono::seconds(10));
  ~Loop();

  // Serves an accepted, non-blocking socket, which becomes the loop's. `remote`: the peer's
  // address.
  void adopt(int fd, std::string_view remote);

  // What becomes of a socket that another thread has accepted.
  enum class Entry {
    free,      // it is served
    exchange,  // it is served in the place of an idle connection of this loop, or queued
  };
  // Hands an accepted, non-blocking socket over, which becomes the loop's. False when the loop
  // takes none: it stops, or has too many to take in. Thread-safe.
  bool hand_in(int fd, std::string_view remote, Entry entry);

  // Its connections, and those that were handed over. For any thread.
  std::size_t load() const { return count_.load(std::memory_order_relaxed) + handed_.load(); }

  // Serves what is ready, and goes on until there is a lull of a millisecond, up to a fair share.
  void serve_ready();

  // Ends what took too long. Call it a few times a second.
  void tick();

  // Closes the connection that was idle for the longest, to make room; false when none can be
  // spared. One whose request is on its way, as far as can be known, is none of them.
  bool shed_idle();

  // Closes one that is there beyond the limit of connections, since there may be only so many of
  // those: one that lingers, or, `at_once` or when it has waited for a little, one that is queued.
  // False when there is none.
  bool shed_extra(bool at_once = false);

  // Whether some connection was idle when the thread last looked. For other threads: a hint.
  bool has_idle() const { return has_idle_.load(std::memory_order_relaxed); }

  // Keeps an accepted socket until a connection of this loop ends or can be spared. If all have
  // been busy with requests for kQueueTime it is answered with 503, and ended once the peer has had
  // the chance to read that.
  void queue(int fd, std::string_view remote);
  // Whether one waits like that; tick() is to be called more often then.
  bool has_queued() const { return extra_ != 0 && !list(Phase::queued).empty(); }
  // How many do.
  std::size_t queued() const { return list(Phase::queued).size(); }

  // Far less than a client notices, and more than a request takes that is on its way. Where
  // somebody has yet to send his first request, he makes room when he has, or when he has not for a
  // second.
  static constexpr std::chrono::milliseconds kQueueTime{30};
  static constexpr std::chrono::milliseconds kQueueTimeAtMost{1'100};

  // No connection is kept open beyond its request from now on; `emptied` is called when the last is
  // gone. Where the server `goes_on` elsewhere, who idles has a second to ask once more, and is
  // told in the answer: a client that asks in the moment of the end would lose that request.
  void stop(bool goes_on, std::function<void()> emptied);
  // After a stop: the server does not go on, so that nobody waits for who idles.
  void dismiss_idle();
  // Cuts what is still open.
  void abort();
  // No handler begins on this thread any more, whatever it is in the middle of. Thread-safe.
  void cut() { cut_.store(true); }

  // Calls `done` on this thread once no request here has anything to do with `generation` any more.
  // REQUIRES: no request that begins now gets to it.
  void when_free(const app::Generation& generation, std::function<void()> done);

  // Takes up again the requests that waited for apps whose serving() was null.
  void resume();

  // A call comes back from the pool. Thread-safe.
  void complete(std::unique_ptr<PoolCall> call);

  std::size_t size() const { return count_.load(std::memory_order_relaxed); }

  // The generation whose handler runs on this thread now, or null. For other threads, while one is
  // stuck.
  app::Generation* running() const { return context_.running.generation.load(); }

  // The context of the calls that this thread makes.
  app::CallContext& context() { return context_; }

  EpollSet& sockets() { return sockets_; }

 private:
  friend class Connection;
  using List = boost::intrusive::list<Connection, boost::intrusive::constant_time_size<false>>;

  static constexpr std::size_t kReadSize = 64 * 1024;
  static constexpr std::size_t kFlushSize = 64 * 1024;

  void on_ready(std::uint32_t events) override;  // somebody has woken it
  void on_told() override;
  void wake() const;
  void take_in();
  void take_answers();
  void count(std::ptrdiff_t more) {
    count_.store(count_.load(std::memory_order_relaxed) + static_cast<std::size_t>(more),
                 std::memory_order_relaxed);
  }
  const routing::Router& router() const { return *router_.load(std::memory_order_acquire); }
  void read_clock();
  void read_clock_inline();  // for each round; loop.cpp alone
  std::uint64_t deadline_ns() const { return deadline_ns_; }
  std::uint64_t begin_by_ns() const { return deadline_ns_ - handling_ns_; }
  // When the loop saw what it serves now, CLOCK_MONOTONIC.
  std::uint64_t now_ns() const {
    return static_cast<std::uint64_t>(std::chrono::nanoseconds(now_.time_since_epoch()).count());
  }
  // Keeps the request of `call`, whose connection is set, until resume(), or for hold_time.
  void wait(std::unique_ptr<PoolCall> call);
  void expire_waiting();
  bool uses(const app::Generation& generation);
  void tell_free();
  void flush_access_lines() {
    if (access_ != nullptr) access_->flush();
  }
  void enter(Connection& connection, Phase phase);
  void retire(Connection& connection);
  void bury();
  Connection* make(int fd, std::string_view remote);
  void note_idle() { has_idle_.store(!list(Phase::idle).empty(), std::memory_order_relaxed); }
  void count_extra(std::ptrdiff_t more) {
    extra_ += static_cast<std::size_t>(more);
    places_.extra.fetch_add(static_cast<std::size_t>(more), std::memory_order_relaxed);
  }
  bool close_idle();
  bool somebody_may_ask();
  // Has those who are queued take the places that are vacant, or could be.
  [[gnu::cold, gnu::noinline]] void admit();
  void expire(Phase phase, std::chrono::milliseconds limit);
  List& list(Phase phase) { return lists_[static_cast<std::size_t>(phase)]; }
  const List& list(Phase phase) const { return lists_[static_cast<std::size_t>(phase)]; }

  std::unique_ptr<Request> take_request();
  void give_back(std::unique_ptr<Request> request);
  std::unique_ptr<PoolCall> take_call();
  void give_back(std::unique_ptr<PoolCall> call);
  std::unique_ptr<Passage>& passage() {
    if (passage_ == nullptr) passage_ = std::make_unique<Passage>();
    return passage_;
  }
  // Ends a request's way when its response has ended: here, or on the pool when somebody on it may
  // block.
  void finish(std::unique_ptr<Passage>& passage, const Request& request, std::string_view remote) {
    const app::CallContext::Calls calls(context_);
    finish_here(passage, request, remote);
  }
  // The same; after it, CallContext::end_calls() is due.
  void finish_here(std::unique_ptr<Passage>& passage, const Request& request,
                   std::string_view remote) {
    if (!passage->owes()) return;
    if (!passage->is_plain()) {
      if (passage->blocking()) return finish_on_pool(passage, request, remote);
      static_cast<void>(passage->join(context_));
    }
    context_.deadline_ns = deadline_ns();
    passage->finish_here(context_, request, remote);
  }
  void finish_on_pool(std::unique_ptr<Passage>& passage, const Request& request,
                      std::string_view remote);

  const std::atomic<const routing::Router*>& router_;
  const config::Limits& limits_;
  Executor& executor_;
  EpollSet sockets_;
  int wake_;

  Clock::time_point now_;
  std::uint64_t deadline_ns_ = 0;    // of a request that begins now, CLOCK_MONOTONIC
  const std::uint64_t handling_ns_;  // what a handler has at least
  bool stopping_ = false;
  bool closes_idle_ = false;           // at once, but for who has not asked yet
  std::uint64_t most_requests_;        // of a connection; 0 when stopping
  bool telling_ = false;               // the set holds pointers to connections
  std::atomic<std::size_t> count_{0};  // written by this thread alone
  Places& places_;
  std::size_t extra_ = 0;  // of its connections: beyond the limit
  std::function<void()> emptied_;
  std::atomic<bool> cut_{false};
  std::atomic<bool> has_idle_{false};

  // Lent to the connection that is served now.
  std::unique_ptr<char[]> read_buffer_;
  std::unique_ptr<Request> request_;
  std::unique_ptr<AccessLines> access_;  // null: there is no access log
  AppResponse response_;
  Output output_;
  ResponseWriter writer_;
  app::CallContext context_;

  std::array<List, kPhases> lists_;
  List dead_;
  std::vector<std::unique_ptr<Request>> spare_requests_;
  std::size_t spare_bytes_ = 0;  // what they keep for bodies
  std::vector<std::unique_ptr<PoolCall>> spare_calls_;
  std::unique_ptr<Passage> passage_;  // lent, too; null after it was taken

  // loop_reload.cpp: for when generations of apps are replaced.
  app::Generation* callee_ = nullptr;  // of the request in hand, when nobody follows it
  struct Waiting {
    std::unique_ptr<PoolCall> call;
    Clock::time_point since;
  };
  std::deque<Waiting> waiting_;
  std::chrono::milliseconds hold_time_;
  struct Awaited {
    const app::Generation* generation;
    std::function<void()> done;
  };
  std::vector<Awaited> awaited_;

  struct Newcomer {
    int fd;
    Entry entry;
    std::array<char, 46> remote;  // INET6_ADDRSTRLEN
    std::uint8_t remote_size;
  };
  std::mutex newcomers_mutex_;
  std::vector<Newcomer> newcomers_;  // never more than were reserved
  std::vector<Newcomer> taken_in_;
  bool takes_ = true;
  std::atomic<std::size_t> handed_{0};  // newcomers that are not counted as connections yet

  std::mutex completed_mutex_;
  PoolCall* completed_ = nullptr;  // owned, the latest first
};

}  // namespace sonicorn::http
