#pragma once

#include <sonicorn/attributes.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "app/app.hpp"
#include "http/app_response.hpp"
#include "http/request.hpp"
#include "routing/router.hpp"

namespace sonicorn::http {

// The way of one request through the filters of its path (pre_request, in load order), to its
// handler, and, when the response has ended, back (on_disconnect, then post_request in reverse
// order). It exists only for requests that some app follows. Each pre_request that returned OK gets
// its post_request exactly once, however the response ends. One thread at a time works on it, but
// for give_up(). Reused from request to request.
class Passage {
 public:
  Passage() { outcome_.size = sizeof(outcome_); }
  Passage(const Passage&) = delete;
  Passage& operator=(const Passage&) = delete;

  // The time from which a request is measured, CLOCK_MONOTONIC.
  static std::uint64_t now_ns();

  // Sets out for a request for `path` that was there at `begun_ns`, whose handler is of `app`
  // (null: there is none). False when no app follows it.
  bool begin(const routing::Router& router, const std::string_view& path, app::App* app,
             std::uint64_t begun_ns);

  // A way for the calling thread, which nobody on it may refuse, close or block.
  bool is_plain() const { return plain_; }
  // A way that may not be gone, because an app on it takes no requests now.
  bool is_closed() const { return closed_; }
  // Whether some code on it may block.
  bool blocking() const { return blocking_; }
  // Whether a way that is not plain may be gone on this thread, which every app on it is told of:
  // nobody blocks, and none refuses the thread (thread_start).
  bool may_run_here(app::CallContext& context) const { return !blocking_ && join(context); }
  // Tells every app on it of this thread; false: one of them refuses it (thread_start).
  bool join(app::CallContext& context) const { return !joins_ || join_all(context); }
  // Some generation on it, the handler's if there is one.
  app::Generation* first() const { return steps_.back().generation; }

  // Every generation on it.
  template <class Use>
  void each_generation(Use use) const {
    for (const Step& step : steps_) use(*step.generation);
  }

  // From here on run() is for another thread, and give_up() may come from this one.
  void share() { progress_.shared = true; }

  // Calls each pre_request and then the handler, on this thread. The result is the handler's, or
  // OK where a filter answered: `response` is to be sent; above 0: there is none; below 0: a call
  // failed. Where it failed or a filter answered, failed_app() and failed_attribute() say whose
  // call it was.
  std::int32_t run(app::CallContext& context, const Request& request, std::string_view remote,
                   AppResponse& response);
  // The same where the way is plain and not shared; after it, CallContext::end_calls() is due.
  std::int32_t run_here(app::CallContext& context, const Request& request, std::string_view remote,
                        AppResponse& response);
  const app::App* failed_app() const { return progress_.failed_app; }
  app::Generation* failed_generation() const { return progress_.failed_generation; }
  std::string_view failed_attribute() const { return failed_attribute_; }

  // Sets the header fields that filters want on the final answer; the memory is the response's.
  bool has_fields() const { return !fields_.empty(); }
  void set_fields(AppResponse& response) const;

  // The client is answered or gone while run() may still be under way on another thread, which will
  // call no filter or handler any more. What was passed so far, the result owes; `result` is how
  // the response ended, SONICORN_OUTCOME_..., and `status` what was sent, or 0.
  std::unique_ptr<Passage> give_up(std::uint32_t result, std::uint32_t status);

  // How the response ended, SONICORN_OUTCOME_...; 0: not known yet.
  void set_result(std::uint32_t result) { outcome_.result = result; }
  std::uint32_t result() const { return outcome_.result; }
  void set_answer(std::uint32_t status, std::uint64_t body_size) {
    outcome_.status = status;
    outcome_.body_size = body_size;
  }

  // Whether anything is to be called when the response has ended as it did.
  bool owes() const {
    return progress_.owed > 0 || (watched_ && outcome_.result == SONICORN_OUTCOME_DISCONNECTED);
  }
  // Whether an app on it wants to hear of a disconnect.
  bool watches() const { return watched_; }
  // Calls that, on this thread, for the request that it was.
  void finish(app::CallContext& context, const Request& request, std::string_view remote);
  // The same; after it, CallContext::end_calls() is due.
  void finish_here(app::CallContext& context, const Request& request, std::string_view remote);
  void finish(app::CallContext& context) { finish(context, *request, remote); }

  // For a passage that waits: what finish() needs, where the response ends among the bytes of its
  // connection, and the list of those that wait.
  std::unique_ptr<Request> request;
  std::string remote;
  std::uint64_t end = 0;
  std::unique_ptr<Passage> next;

 private:
  struct Step {
    app::App* app = nullptr;
    app::Generation* generation = nullptr;
    std::size_t mount_size = 0;
    void* exchange = nullptr;
  };

  bool begin_again(const app::App* app);
  // Each is called on a rare way only, and would take registers from the usual one.
  [[gnu::cold, gnu::noinline]] bool find_way(const routing::Router& router, std::string_view path,
                                             app::App* app);
  void add(app::App& app);
  [[gnu::cold, gnu::noinline]] bool join_all(app::CallContext& context) const;
  template <bool kShared>
  std::int32_t run_steps(app::CallContext& context, const Request& request, std::string_view remote,
                         AppResponse& response);
  template <bool kShared>
  bool pass(Step& step, void* exchange);
  template <bool kShared>
  bool reach_handler();
  [[gnu::cold, gnu::noinline]] std::int32_t post_at_once(Step& step, void* exchange,
                                                         app::CallContext& context,
                                                         const Request& request,
                                                         std::string_view remote);
  [[gnu::cold, gnu::noinline]] void tell_failure(const Step& step, std::string_view attribute,
                                                 std::int32_t result, app::CallContext& context);
  // Notes whose pre_request answered in place of the handler.
  [[gnu::cold, gnu::noinline]] std::int32_t answer(const Step& step);
  [[gnu::cold, gnu::noinline]] std::int32_t fail_unsound(const Step& step,
                                                         app::CallContext& context);
  bool take_fields(const AppResponse& response, const app::App& from);
  const sonicorn_request& request_for(const Step& step, const Request& request,
                                      std::string_view remote);
  [[gnu::cold, gnu::noinline]] void tell_of_disconnect(app::CallContext& context,
                                                       const Request& request,
                                                       std::string_view remote);
  [[gnu::noinline]] void finish_rest(Step* step, app::CallContext& context, const Request& request,
                                     std::string_view remote);
  void call_post(Step& step, sonicorn_outcome& outcome, app::CallContext& context,
                 const Request& request, std::string_view remote);
  [[gnu::cold, gnu::noinline]] std::int32_t fail(const Step& step, std::string_view attribute,
                                                 std::int32_t result);

  // The way itself, which most requests for an app share.
  const app::App* fixed_for_ = nullptr;  // an app for whose every path it is the same
  std::uint32_t switches_ = 0;           // as they were when it was found
  std::vector<Step> steps_;              // filters in order; the handler last
  std::size_t filters_ = 0;
  bool has_handler_ = false;
  bool plain_ = false;
  bool blocking_ = false;
  bool closed_ = false;
  bool joins_ = false;    // an app on it is told of threads
  bool watched_ = false;  // an app on it is told of disconnects

  // How far the request has come.
  struct Progress {
    std::uint32_t passed = 0;  // filters, from the first, whose pre_request was ok
    std::uint32_t owed = 0;    // their post_requests
    const app::App* failed_app = nullptr;
    app::Generation* failed_generation = nullptr;
    const Request* as_abi_of = nullptr;
    std::uint32_t given_up = 0;  // how the response ended meanwhile
    bool handled = false;        // the handler was called
    bool shared = false;
  };
  Progress progress_;
  std::string_view failed_attribute_;
  std::vector<std::pair<std::string, std::string>> fields_;
  std::uint64_t begun_ns_ = 0;  // CLOCK_MONOTONIC
  sonicorn_outcome outcome_{};
  sonicorn_request as_abi_{};  // as the apps of one mount see it

  std::mutex mutex_;  // between run() and give_up()
  std::uint32_t given_up_status_ = 0;
};

}  // namespace sonicorn::http
