#pragma once

#include <algorithm>
#include <ctime>

#include "http/abi_request.hpp"
#include "http/passage.hpp"

// What every request of a filtered mount goes through, inline so that it becomes one function with
// its caller.
namespace sonicorn::http {

inline std::uint64_t Passage::now_ns() {
  timespec time;  // NOLINT(cppcoreguidelines-pro-type-member-init): set by the call
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(time.tv_nsec);
}

// The same way as the last time, with the generations of now.
inline bool Passage::begin_again(const app::App* app) {
  return app != nullptr && app == fixed_for_ && switches_ == app::App::switches();
}

inline bool Passage::begin(const routing::Router& router, const std::string_view& path,
                           app::App* app, std::uint64_t begun_ns) {
  progress_ = {};
  outcome_.result = 0;
  begun_ns_ = begun_ns;
  if (!fields_.empty()) fields_.clear();
  return begin_again(app) || find_way(router, path, app);
}

// Notes that a filter has let the request pass, and whether it is owed a post_request; false when
// the response has ended meanwhile.
template <bool kShared>
inline bool Passage::pass(Step& step, void* exchange) {
  std::unique_lock<std::mutex> lock;
  if constexpr (kShared) {
    lock = std::unique_lock(mutex_);
    if (progress_.given_up != 0) return false;
  }
  step.exchange = exchange;
  ++progress_.passed;
  if (step.generation->attributes().post_request != nullptr) ++progress_.owed;
  return true;
}

// The same of the handler.
template <bool kShared>
inline bool Passage::reach_handler() {
  std::unique_lock<std::mutex> lock;
  if constexpr (kShared) {
    lock = std::unique_lock(mutex_);
    if (progress_.given_up != 0) return false;
  }
  progress_.handled = true;
  return true;
}

// Apps of mounts of one length, which all hold the path, see the same request.
inline const sonicorn_request& Passage::request_for(const Step& step, const Request& request_in,
                                                    std::string_view remote_in) {
  if (progress_.as_abi_of != &request_in || as_abi_.mount.size != step.mount_size) {
    write_abi_request(as_abi_, request_in, *step.app, remote_in);
    progress_.as_abi_of = &request_in;
  }
  return as_abi_;
}

inline void Passage::call_post(Step& step, sonicorn_outcome& outcome, app::CallContext& context,
                               const Request& request_in, std::string_view remote_in) {
  app::Generation& generation = *step.generation;
  outcome.duration_ns = now_ns() - begun_ns_;
  const sonicorn_request& as_abi = request_for(step, request_in, remote_in);
  context.begin_call(generation, app::Attribute::post_request);
  const std::int32_t result = generation.post_request(context, as_abi, outcome, step.exchange);
  if (result != SONICORN_OK) tell_failure(step, "post_request", result, context);
}

// One loop without calls of our own, for every request of a filtered mount goes through it.
template <bool kShared>
inline std::int32_t Passage::run_steps(app::CallContext& context, const Request& request_in,
                                       std::string_view remote_in, AppResponse& response) {
  Step* const handler = steps_.data() + filters_;
  for (Step* step = steps_.data(); step != handler; ++step) {
    app::Generation& generation = *step->generation;
    void* exchange = nullptr;
    bool sound = true;
    if (generation.attributes().pre_request != nullptr) {
      response.reset();
      const sonicorn_request& as_abi = request_for(*step, request_in, remote_in);
      context.begin_call(generation, app::Attribute::pre_request);
      const std::int32_t result = generation.pre_request(context, as_abi, response, &exchange);
      // Above 0 it answers in place of the handler.
      if (result != SONICORN_OK) {
        if (result > 0) return answer(*step);
        response.drop();
        return fail(*step, "pre_request", result);
      }
      if (response.field_count != 0) sound = take_fields(response, *step->app);
      if (response.release != nullptr) response.drop();
    }
    if (!pass<kShared>(*step, exchange)) {
      return post_at_once(*step, exchange, context, request_in, remote_in);
    }
    if (!sound) return fail_unsound(*step, context);
  }
  if (!has_handler_ || !reach_handler<kShared>()) return SONICORN_DECLINED;
  response.reset();
  const sonicorn_request& as_abi = request_for(*handler, request_in, remote_in);
  context.begin_call(*handler->generation, app::Attribute::on_request);
  const std::int32_t result = handler->generation->on_request(context, as_abi, response);
  return result < 0 ? fail(*handler, "on_request", result) : result;
}

inline std::int32_t Passage::run_here(app::CallContext& context, const Request& request_in,
                                      std::string_view remote_in, AppResponse& response) {
  return run_steps<false>(context, request_in, remote_in, response);
}

inline std::int32_t Passage::run(app::CallContext& context, const Request& request_in,
                                 std::string_view remote_in, AppResponse& response) {
  const app::CallContext::Calls calls(context);
  return progress_.shared ? run_steps<true>(context, request_in, remote_in, response)
                          : run_steps<false>(context, request_in, remote_in, response);
}

inline void Passage::finish_here(app::CallContext& context, const Request& request_in,
                                 std::string_view remote_in) {
  if (watched_ && outcome_.result == SONICORN_OUTCOME_DISCONNECTED) {
    tell_of_disconnect(context, request_in, remote_in);
  }
  if (progress_.owed == 0) return;
  // Most requests have passed one filter.
  Step* const last = steps_.data() + progress_.passed - 1;
  if (last->generation->attributes().post_request != nullptr) {
    --progress_.owed;
    call_post(*last, outcome_, context, request_in, remote_in);
  }
  if (progress_.owed != 0) finish_rest(last, context, request_in, remote_in);
}

inline void Passage::finish(app::CallContext& context, const Request& request_in,
                            std::string_view remote_in) {
  const app::CallContext::Calls calls(context);
  finish_here(context, request_in, remote_in);
}

}  // namespace sonicorn::http
