#pragma once

#include <ctime>

#include "http/abi_request.hpp"
#include "http/passage.hpp"

// What every request of a filtered mount goes through, inline so that it becomes one function with
// its caller.
namespace sonicorn::http {

inline std::uint64_t Passage::now_ns() {
  timespec time{};
  ::clock_gettime(CLOCK_MONOTONIC, &time);
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(time.tv_nsec);
}

// The same way as the last time, with the generations of now.
inline bool Passage::begin_again(const app::App* app) {
  if (!is_fixed_ || app != app_) return false;
  for (Step& step : steps_) {
    if (step.generation != step.app->serving()) return false;
    step.exchange = nullptr;
    step.passed = step.reached = false;
  }
  return !closed_;
}

inline bool Passage::begin(const routing::Router& router, std::string_view path, app::App* app) {
  shared_ = false;
  given_up_ = 0;
  owed_ = 0;
  failed_app_ = nullptr;
  as_abi_of_ = nullptr;
  outcome_.result = 0;
  if (!fields_.empty()) fields_.clear();
  if (!begin_again(app) && !find_way(router, path, app)) return false;
  begun_ns_ = now_ns();
  return true;
}

// Notes that a step was reached, and whether it is owed a post_request; false when the response has
// ended meanwhile.
template <bool kShared>
inline bool Passage::reach(Step& step, bool passes, void* exchange) {
  std::unique_lock<std::mutex> lock;
  if constexpr (kShared) {
    lock = std::unique_lock(mutex_);
    if (given_up_ != 0) return false;
  }
  step.exchange = exchange;
  step.passed = passes;
  step.reached = true;
  if (passes && step.generation->attributes().post_request != nullptr) ++owed_;
  return true;
}

// Apps of mounts of one length, which all hold the path, see the same request.
inline const sonicorn_request& Passage::request_for(const Step& step, const Request& request_in,
                                                    std::string_view remote_in) {
  if (as_abi_of_ != &request_in || as_abi_.mount.size != step.app->mount().size()) {
    write_abi_request(as_abi_, request_in, *step.app, remote_in);
    as_abi_of_ = &request_in;
  }
  return as_abi_;
}

inline void Passage::call_post(Step& step, sonicorn_outcome& outcome, app::CallContext& context,
                               const Request& request_in, std::string_view remote_in) {
  step.passed = false;
  app::Generation& generation = *step.generation;
  if (generation.attributes().post_request == nullptr) return;
  outcome.size = sizeof(outcome);
  outcome.duration_ns = now_ns() - begun_ns_;
  const sonicorn_request& as_abi = request_for(step, request_in, remote_in);
  context.begin_call(generation, app::Attribute::post_request);
  const std::int32_t result = generation.post_request(context, as_abi, outcome, step.exchange);
  if (result < 0) tell_failure(step, "post_request", result, context);
}

// One loop without calls of our own, for every request of a filtered mount goes through it.
template <bool kShared>
inline std::int32_t Passage::run_steps(app::CallContext& context, const Request& request_in,
                                       std::string_view remote_in, AppResponse& response) {
  const std::size_t filters = steps_.size() - (has_handler_ ? 1 : 0);
  for (std::size_t i = 0; i < filters; ++i) {
    Step& step = steps_[i];
    app::Generation& generation = *step.generation;
    void* exchange = nullptr;
    bool sound = true;
    if (generation.attributes().pre_request != nullptr) {
      response.reset();
      const sonicorn_request& as_abi = request_for(step, request_in, remote_in);
      context.begin_call(generation, app::Attribute::pre_request);
      const std::int32_t result = generation.pre_request(context, as_abi, response, &exchange);
      // Above 0 it answers in place of the handler.
      if (result != SONICORN_OK) {
        if (result > 0) return answer(step);
        response.drop();
        return fail(step, "pre_request", result);
      }
      if (response.field_count != 0) sound = take_fields(response, *step.app);
      if (response.release != nullptr) response.drop();
    }
    if (!reach<kShared>(step, true, exchange)) {
      return post_at_once(step, exchange, context, request_in, remote_in);
    }
    if (!sound) return fail_unsound(step, context);
  }
  if (!has_handler_) return SONICORN_DECLINED;
  Step& handler = steps_.back();
  if (!reach<kShared>(handler, false, nullptr)) return SONICORN_DECLINED;
  response.reset();
  const sonicorn_request& as_abi = request_for(handler, request_in, remote_in);
  context.begin_call(*handler.generation, app::Attribute::on_request);
  const std::int32_t result = handler.generation->on_request(context, as_abi, response);
  return result < 0 ? fail(handler, "on_request", result) : result;
}

inline std::int32_t Passage::run(app::CallContext& context, const Request& request_in,
                                 std::string_view remote_in, AppResponse& response) {
  const app::CallContext::Calls calls(context);
  return shared_ ? run_steps<true>(context, request_in, remote_in, response)
                 : run_steps<false>(context, request_in, remote_in, response);
}

inline void Passage::finish(app::CallContext& context, const Request& request_in,
                            std::string_view remote_in) {
  const app::CallContext::Calls calls(context);
  if (watched_ && outcome_.result == SONICORN_OUTCOME_DISCONNECTED) {
    tell_of_disconnect(context, request_in, remote_in);
  }
  for (auto step = steps_.rbegin(); owed_ > 0 && step != steps_.rend(); ++step) {
    if (step->passed) call_post(*step, outcome_, context, request_in, remote_in);
  }
  owed_ = 0;
}

}  // namespace sonicorn::http
