#pragma once

#include <array>
#include <boost/intrusive/list_hook.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string_view>
#include <utility>

#include "http/engine.hpp"
#include "http/epoll_set.hpp"
#include "http/output.hpp"
#include "http/pool_call.hpp"
#include "http/request.hpp"
#include "http/status.hpp"

namespace sonicorn::http {

class Loop;

// What a connection waits for; each has its time limit, and its list in the loop.
enum class Phase : std::uint8_t {
  idle,       // between requests
  head,       // the rest of a head
  body,       // the rest of a body
  handling,   // the app, on the pool
  holding,    // an app that is about to be replaced
  writing,    // a peer that reads
  lingering,  // the peer's end, after the last answer (RFC 9112 9.6)
  queued,     // a place, when there are as many connections as there may be
};
inline constexpr std::size_t kPhases = 8;

// One client connection: moves bytes between its socket and the engine, takes requests to their
// app, and writes the answers in order. Idle, it owns no buffer. Lives on its loop's thread.
class Connection final : public PollTarget,
                         public boost::intrusive::list_base_hook<
                             boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  Connection(Loop& loop, int fd, std::string_view remote);
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void on_ready(std::uint32_t events) override;

  // There is no place for it yet: nothing is read until admit().
  void queue();
  void admit();

  // There is no place for it: says so, and ends.
  void refuse_at_once();

  // The pool's answer to the request in hand.
  void on_answer(std::unique_ptr<PoolCall> call);

  // The request that waited for its app: is served, or has waited for too long.
  void go_on(std::unique_ptr<PoolCall> call, bool serves);

  // The time limit of its phase has passed.
  void on_expired();

  // The server stops: ends now when it is idle, else after the request in hand.
  void on_stop();

  // Cuts the connection. The object lives on until the loop is done with its batch.
  void close();

  Phase phase() const { return phase_; }
  std::chrono::steady_clock::time_point since() const { return since_; }

  // Whether an idle connection may be closed for others: no request of it waits, and its first, for
  // which a client does not try again, has had its time to come.
  bool can_be_shed() const;

  // Whether an idle connection has had no request yet, as far as can be known.
  bool has_yet_to_ask() const;

  // Whether a body comes more slowly than the limits allow.
  bool body_too_slow() const;

 private:
  friend class Loop;

  static constexpr std::size_t kRemoteSize = 46;  // INET6_ADDRSTRLEN

  bool closed() const { return fd_ < 0; }
  Request& request();
  void read();
  void read_body_in_place(std::uint64_t left);
  void discard();
  void take_input(std::string_view input);
  std::size_t process(std::string_view input);
  void settle();
  bool reading() const { return !ending_ && !call_ && !stalled_ && !closed(); }

  Engine::Step accept_body(std::string_view input, std::size_t& used);
  void serve();
  bool answer_for_health(const Request& to);
  void expire();
  void call(app::Generation& generation);
  void call_here(app::Generation& generation);
  void call_on_pool(app::Generation* generation);
  void after_answer();
  void send(const Request& to, AppResponse& response);
  void give_back(std::unique_ptr<Request>& request);
  // Nobody serves the app of the request in hand, or who filters it, now.
  [[gnu::cold, gnu::noinline]] void wait_or_refuse();
  // Whether every app on the way of the request takes requests.
  bool is_way_open() const;
  // Whose call, of which attribute, ended the way of the request: it failed, or gave the answer.
  std::pair<app::Generation*, std::string_view> last_called() const;
  void fail(const Request& to, AppResponse& response, std::int32_t result,
            const std::string& error);
  void refuse(const Request& to, const Refusal& refusal);
  void write_answer(const Request& to, AppResponse& response);
  void refuse_fault(const Request& to, AppResponse& response, std::string_view fault);
  void refuse_and_end(const Refusal& refusal);
  void count_request(const Request& to);

  // For requests that apps follow (connection_followed.cpp).
  bool serve_followed(Request& now);
  [[gnu::noinline]] bool may_run_here();
  void send_followed(const Request& to, AppResponse& response);
  void refuse_followed(const Request& to, const Refusal& refusal, bool json);
  void complete(const Request& to, std::uint32_t status, std::uint64_t body_size);
  void end_passages(std::uint32_t result);
  void abandon(PoolCall& call);

  // For the access log (connection_logged.cpp).
  [[gnu::cold, gnu::noinline]] void log_answer(const Request& to, unsigned status,
                                               std::uint64_t body_size);
  [[gnu::cold, gnu::noinline]] void log_response(const Request& to, const AppResponse& response);

  Output& output();
  bool flush();
  void stall();
  void on_writable();
  void end();
  void watch(std::uint32_t events);
  void cut_for_memory();
  bool has_unread() const;
  bool peer_may_lose_answer() const;

  Loop& loop_;
  int fd_;
  std::uint32_t watched_;
  Phase phase_ = Phase::idle;
  bool ending_ = false;       // nothing more is read; closes when all is written
  bool refused_ = false;      // ends because of what the client sent
  bool server_ends_ = false;  // ends though the client would go on
  bool stalled_ = false;      // waits for the peer to read
  bool is_extra_ = false;     // beyond the limit of connections: queued, or refused for that
  bool echoing_ = false;      // pending_ borrows the body of the request in hand
  std::uint8_t remote_size_;
  std::array<char, kRemoteSize> remote_;
  std::uint32_t discarded_ = 0;
  std::uint64_t served_ = 0;
  std::chrono::steady_clock::time_point since_;
  Engine engine_;
  app::App* app_ = nullptr;                      // of the request in hand
  std::unique_ptr<Passage>* passage_ = nullptr;  // of the request in hand, where it is owned; null:
                                                 // nobody follows it
  std::unique_ptr<Passage> unsent_;    // of responses that have not ended, the newest first
  std::uint64_t sent_ = 0;             // bytes, in all
  PoolCall* call_ = nullptr;           // on the pool, for this connection
  std::uint64_t pool_generation_ = 0;  // the number of the generation that works on it
  std::unique_ptr<Request> held_;      // a request that is not whole yet
  std::unique_ptr<Output> pending_;    // what the peer has not read yet
  std::unique_ptr<Request> echoed_;    // owns a body that pending_ borrows
  ByteBuffer carry_;                   // input that is not consumed yet
};

}  // namespace sonicorn::http
