#pragma once

#include <sonicorn/attributes.h>

#include <chrono>
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

// The request as the ABI has it, for `app`.
sonicorn_request abi_request(const Request& request, const app::App& app, std::string_view remote);

// The way of one request through the filters of its path (pre_request, in load order), to its
// handler, and, when the response has ended, back (on_disconnect, then post_request in reverse
// order). It exists only for requests that some app wants to follow. Each pre_request that returned
// OK gets its post_request exactly once, whoever runs the way, and however it ends: one thread at a
// time works on it, but for give_up().
class Passage {
 public:
  using Clock = std::chrono::steady_clock;

  Passage() = default;
  Passage(const Passage&) = delete;
  Passage& operator=(const Passage&) = delete;

  // Sets out for a request for `path`, whose handler is of `app` (null: there is none). False when
  // no app follows it.
  bool begin(const routing::Router& router, std::string_view path, app::App* app);

  // A way that may not be gone, because an app on it takes no requests now.
  bool is_closed() const { return closed_; }
  // Whether some code on it may block.
  bool blocking() const { return blocking_; }
  // Tells every app on it of this thread; false: one of them refuses it (thread_start).
  bool join(app::CallContext& context) const;
  // Some generation on it, the handler's if there is one.
  app::Generation* first() const;

  // Every generation on it, for who counts calls.
  template <class Use>
  void each_generation(Use use) const {
    for (const Step& step : steps_) use(*step.generation);
  }

  // Calls each pre_request and then the handler, on this thread. The result is the handler's, or
  // OK where a filter answered: `response` is to be sent; above 0: there is none; below 0: the app
  // and attribute of failed_in() failed.
  std::int32_t run(app::CallContext& context, const Request& request, std::string_view remote,
                   AppResponse& response);
  const app::App* failed_app() const { return failed_app_; }
  std::string_view failed_attribute() const { return failed_attribute_; }

  // Sets the header fields that filters want on the final answer; the memory is the response's.
  bool has_fields() const { return !fields_.empty(); }
  void set_fields(AppResponse& response) const;

  // The client is answered or gone while run() may still be under way on another thread, which will
  // call no filter or handler any more. What was passed so far, the result owes; `result` is how
  // the response ended, SONICORN_OUTCOME_...
  std::unique_ptr<Passage> give_up(std::uint32_t result);

  // How the response ended.
  void set_answer(std::uint32_t result, std::uint32_t status, std::uint64_t body_size);
  void set_result(std::uint32_t result) { outcome_.result = result; }
  std::uint32_t result() const { return outcome_.result; }

  // Whether anything is to be called when the response has ended as it did.
  bool owes() const;
  // Calls that, on this thread, for the request that it was.
  void finish(app::CallContext& context, const Request& request, std::string_view remote);
  void finish(app::CallContext& context) { finish(context, *request, remote); }

  // What finish() needs when it is called later. Null while the request is somebody else's.
  std::unique_ptr<Request> request;
  std::string remote;
  std::uint64_t end = 0;          // where the response ends among the bytes of its connection
  std::unique_ptr<Passage> next;  // in the list of its connection

 private:
  struct Step {
    app::App* app = nullptr;
    app::Generation* generation = nullptr;
    void* exchange = nullptr;
    bool passed = false;   // its post_request is owed
    bool reached = false;  // it was called, or is the handler: it hears of a disconnect
  };

  bool pass(Step& step, void* exchange);
  std::int32_t filter(Step& step, app::CallContext& context, const Request& request,
                      std::string_view remote, AppResponse& response, bool& goes_on);
  bool take_fields(const AppResponse& response, const app::App& from);
  void call_post(Step& step, app::CallContext& context, const Request& request,
                 std::string_view remote);
  std::int32_t fail(const Step& step, std::string_view attribute, std::int32_t result);

  std::vector<Step> steps_;  // filters in order; the handler last
  bool has_handler_ = false;
  bool blocking_ = false;
  bool closed_ = false;
  const app::App* failed_app_ = nullptr;
  std::string_view failed_attribute_;
  std::vector<std::pair<std::string, std::string>> fields_;
  Clock::time_point begun_;
  sonicorn_outcome outcome_{};

  std::mutex mutex_;            // between run() and give_up()
  std::uint32_t given_up_ = 0;  // how the response ended meanwhile
};

}  // namespace sonicorn::http
