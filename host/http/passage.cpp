#include "http/passage.hpp"

#include <algorithm>
#include <utility>

#include "core/log.hpp"
#include "http/characters.hpp"
#include "http/response_writer.hpp"

namespace sonicorn::http {
namespace {

sonicorn_string abi(std::string_view text) { return {text.data(), text.size()}; }

std::string_view view_of(const sonicorn_string& text) { return {text.data, text.size}; }

bool may_block(const app::Generation& generation) { return generation.traits().blocking; }

}  // namespace

sonicorn_request abi_request(const Request& request, const app::App& app, std::string_view remote) {
  std::string_view path = request.path;
  path.remove_prefix(app.mount().size());
  if (path.empty()) path = "/";
  return {
      .size = sizeof(sonicorn_request),
      .http_version = request.version,
      .method = abi(request.method),
      .target = abi(request.target),
      .mount = abi(app.mount()),
      .path = abi(path),
      .query = abi(request.query),
      .scheme = SONICORN_STRING("http"),
      .remote = abi(remote),
      .body = abi(request.body),
      .fields = request.fields.data(),
      .field_count = request.fields.size(),
  };
}

bool Passage::begin(const routing::Router& router, std::string_view path, app::App* app) {
  steps_.clear();
  fields_.clear();
  has_handler_ = blocking_ = closed_ = false;
  given_up_ = 0;
  failed_app_ = nullptr;
  outcome_ = {};
  const auto add = [this](app::App& each) {
    app::Generation* const generation = each.serving();
    if (generation == nullptr) {
      closed_ = true;
      return;
    }
    steps_.push_back({&each, generation, nullptr, false, false});
    blocking_ = blocking_ || may_block(*generation);
  };
  bool followed = app != nullptr && app->current().attributes().on_disconnect != nullptr;
  for (app::App* const each : router.filters()) {
    if (!routing::holds(each->mount(), path)) continue;
    followed = true;
    add(*each);
  }
  if (!followed) return false;
  if (app != nullptr) {
    has_handler_ = true;
    add(*app);
  }
  begun_ = Clock::now();
  return true;
}

bool Passage::join(app::CallContext& context) const {
  bool accepted = true;
  each_generation([&](app::Generation& each) { accepted = each.join_thread(context) && accepted; });
  return accepted;
}

app::Generation* Passage::first() const {
  return steps_.empty() ? nullptr : steps_.back().generation;
}

std::int32_t Passage::run(app::CallContext& context, const Request& request_in,
                          std::string_view remote_in, AppResponse& response) {
  const std::size_t filters = steps_.size() - (has_handler_ ? 1 : 0);
  for (std::size_t i = 0; i < filters; ++i) {
    bool goes_on = false;
    const std::int32_t result =
        filter(steps_[i], context, request_in, remote_in, response, goes_on);
    if (!goes_on) return result;
  }
  if (!has_handler_) return SONICORN_DECLINED;
  Step& handler = steps_.back();
  {
    const std::lock_guard lock(mutex_);
    if (given_up_ != 0) return SONICORN_DECLINED;
    handler.reached = true;
  }
  response.reset();
  const sonicorn_request as_abi = abi_request(request_in, *handler.app, remote_in);
  const app::RunningCall running(context, *handler.generation, app::Attribute::on_request);
  const std::int32_t result = handler.generation->on_request(context, as_abi, response);
  return result < 0 ? fail(handler, "on_request", result) : result;
}

std::int32_t Passage::filter(Step& step, app::CallContext& context, const Request& request_in,
                             std::string_view remote_in, AppResponse& response, bool& goes_on) {
  void* exchange = nullptr;
  if (step.generation->attributes().pre_request != nullptr) {
    response.reset();
    const sonicorn_request as_abi = abi_request(request_in, *step.app, remote_in);
    const std::int32_t result = step.generation->pre_request(context, as_abi, response, &exchange);
    if (result < 0) {
      response.drop();
      return fail(step, "pre_request", result);
    }
    // It answers in place of the handler.
    if (result > 0) return SONICORN_OK;
    const bool sound = take_fields(response, *step.app);
    response.drop();
    goes_on = sound;
  } else {
    goes_on = true;
  }
  if (!pass(step, exchange)) {
    goes_on = false;
    // The response has ended meanwhile, and nobody knows of this one.
    step.passed = true;
    call_post(step, context, request_in, remote_in);
    return SONICORN_DECLINED;
  }
  if (!goes_on) {
    context.set_error(&context, "a header field that it sets cannot be sent", 42);
    return fail(step, "pre_request", SONICORN_ERROR);
  }
  return SONICORN_OK;
}

bool Passage::pass(Step& step, void* exchange) {
  const std::lock_guard lock(mutex_);
  if (given_up_ != 0) return false;
  step.exchange = exchange;
  step.passed = true;
  step.reached = true;
  return true;
}

std::int32_t Passage::fail(const Step& step, std::string_view attribute, std::int32_t result) {
  failed_app_ = step.app;
  failed_attribute_ = attribute;
  return result;
}

bool Passage::take_fields(const AppResponse& response, const app::App& from) {
  if (response.field_count == 0) return true;
  if (const std::string_view fault = ResponseWriter::fault_of(response); !fault.empty()) {
    core::log::error("app {}: the fields of its pre_request cannot be sent: {}", from.name(),
                     fault);
    return false;
  }
  for (std::uint64_t i = 0; i < response.field_count; ++i) {
    fields_.emplace_back(view_of(response.fields[i].name), view_of(response.fields[i].value));
  }
  return true;
}

// A field of a filter replaces those of its name that were set before, by the handler or by an
// earlier filter; of cookies there may be many.
void Passage::set_fields(AppResponse& response) const {
  const std::uint64_t most = response.field_count + fields_.size();
  auto* const all =
      static_cast<sonicorn_field*>(response.allocate(&response, most * sizeof(sonicorn_field)));
  if (all == nullptr) throw std::bad_alloc();
  std::uint64_t count = 0;
  const auto set = [&](std::string_view name, std::string_view value, bool replaces) {
    if (replaces && !is_named(name, "set-cookie")) {
      const auto same = [name](const sonicorn_field& each) {
        return std::equal(each.name.data, each.name.data + each.name.size, name.begin(), name.end(),
                          [](char a, char b) { return lower(a) == lower(b); });
      };
      count = static_cast<std::uint64_t>(std::remove_if(all, all + count, same) - all);
    }
    all[count++] = {abi(name), abi(value)};
  };
  for (std::uint64_t i = 0; i < response.field_count; ++i) {
    set(view_of(response.fields[i].name), view_of(response.fields[i].value), false);
  }
  const auto copied = [&](std::string_view text) {
    auto* const to = static_cast<char*>(response.allocate(&response, text.size() + 1));
    if (to == nullptr) throw std::bad_alloc();
    std::copy(text.begin(), text.end(), to);
    return std::string_view(to, text.size());
  };
  for (const auto& [name, value] : fields_) {
    if (is_named(name, "content-type")) {
      const std::string_view type = copied(value);
      response.content_type = abi(type);
    } else {
      set(copied(name), copied(value), true);
    }
  }
  response.fields = all;
  response.field_count = count;
}

std::unique_ptr<Passage> Passage::give_up(std::uint32_t result) {
  auto owing = std::make_unique<Passage>();
  const std::lock_guard lock(mutex_);
  given_up_ = result;
  owing->outcome_.result = result;
  owing->steps_ = steps_;
  owing->has_handler_ = has_handler_;
  owing->blocking_ = blocking_;
  owing->begun_ = begun_;
  for (Step& step : steps_) step.passed = step.reached = false;
  return owing;
}

void Passage::set_answer(std::uint32_t result, std::uint32_t status, std::uint64_t body_size) {
  outcome_.size = sizeof(outcome_);
  outcome_.result = result;
  outcome_.status = status;
  outcome_.body_size = body_size;
}

bool Passage::owes() const {
  return std::any_of(steps_.begin(), steps_.end(), [this](const Step& step) {
    const app::AttributeTable& attributes = step.generation->attributes();
    return (step.passed && attributes.post_request != nullptr) ||
           (step.reached && outcome_.result == SONICORN_OUTCOME_DISCONNECTED &&
            attributes.on_disconnect != nullptr);
  });
}

void Passage::finish(app::CallContext& context, const Request& request_in,
                     std::string_view remote_in) {
  outcome_.size = sizeof(outcome_);
  outcome_.duration_ns =
      static_cast<std::uint64_t>(std::chrono::nanoseconds(Clock::now() - begun_).count());
  if (outcome_.result == SONICORN_OUTCOME_DISCONNECTED) {
    for (auto step = steps_.rbegin(); step != steps_.rend(); ++step) {
      if (!step->reached || step->generation->attributes().on_disconnect == nullptr) continue;
      const sonicorn_request as_abi = abi_request(request_in, *step->app, remote_in);
      const std::int32_t result = step->generation->on_disconnect(context, as_abi);
      if (result < 0) {
        core::log::error("app {}: on_disconnect failed ({}): {}", step->app->name(), result,
                         context.take_error());
      }
    }
  }
  for (auto step = steps_.rbegin(); step != steps_.rend(); ++step) {
    call_post(*step, context, request_in, remote_in);
  }
}

void Passage::call_post(Step& step, app::CallContext& context, const Request& request_in,
                        std::string_view remote_in) {
  if (!std::exchange(step.passed, false)) return;
  if (step.generation->attributes().post_request == nullptr) return;
  sonicorn_outcome outcome = outcome_;
  if (given_up_ != 0) {
    outcome.size = sizeof(outcome);
    outcome.result = given_up_;
    outcome.duration_ns =
        static_cast<std::uint64_t>(std::chrono::nanoseconds(Clock::now() - begun_).count());
  }
  const sonicorn_request as_abi = abi_request(request_in, *step.app, remote_in);
  const std::int32_t result =
      step.generation->post_request(context, as_abi, outcome, step.exchange);
  if (result < 0) {
    core::log::error("app {}: post_request failed ({}): {}", step.app->name(), result,
                     context.take_error());
  }
}

}  // namespace sonicorn::http
