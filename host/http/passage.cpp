#include <algorithm>
#include <iterator>
#include <utility>

#include "core/log.hpp"
#include "http/characters.hpp"
#include "http/passage_run.hpp"
#include "http/response_writer.hpp"

namespace sonicorn::http {
namespace {

sonicorn_string abi(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace

bool Passage::find_way(const routing::Router& router, std::string_view path, app::App* app) {
  if (path.empty()) return false;  // the server is meant
  bool is_fixed = true;
  switches_ = app::App::switches();  // before any serving()
  steps_.clear();
  has_handler_ = blocking_ = closed_ = joins_ = watched_ = false;
  const app::Generation* const handler = app != nullptr ? app->serving() : nullptr;
  bool followed = handler != nullptr && handler->attributes().on_disconnect != nullptr;
  for (app::App* const each : router.filters()) {
    // A filter below the app's mount sees some of its requests only.
    if (app != nullptr && !routing::holds(each->mount(), app->mount())) is_fixed = false;
    if (!routing::holds(each->mount(), path)) continue;
    followed = true;
    add(*each);
  }
  fixed_for_ = nullptr;
  plain_ = false;
  filters_ = steps_.size();
  if (!followed) return false;
  if (app != nullptr) {
    has_handler_ = true;
    add(*app);
  }
  if (is_fixed && !closed_) fixed_for_ = app;
  plain_ = !closed_ && !blocking_ && !joins_;
  return true;
}

void Passage::add(app::App& app) {
  app::Generation* const generation = app.serving();
  if (generation == nullptr) {
    closed_ = true;
    return;
  }
  steps_.push_back({&app, generation, app.mount().size(), nullptr});
  blocking_ = blocking_ || generation->traits().blocking;
  joins_ = joins_ || generation->joins_threads();
  watched_ = watched_ || generation->attributes().on_disconnect != nullptr;
}

// Those before `step` of whom a post_request is owed, the last first.
void Passage::finish_rest(Step* step, app::CallContext& context, const Request& request_in,
                          std::string_view remote_in) {
  while (progress_.owed != 0) {
    --step;
    if (step->generation->attributes().post_request == nullptr) continue;
    --progress_.owed;
    call_post(*step, outcome_, context, request_in, remote_in);
  }
}

bool Passage::join_all(app::CallContext& context) const {
  bool accepted = true;
  each_generation([&](app::Generation& each) { accepted = each.join_thread(context) && accepted; });
  return accepted;
}

// The response has ended while pre_request was running, and nobody knows of that one.
std::int32_t Passage::post_at_once(Step& step, void* exchange, app::CallContext& context,
                                   const Request& request_in, std::string_view remote_in) {
  step.exchange = exchange;
  sonicorn_outcome outcome{};
  outcome.size = sizeof(outcome);
  outcome.result = progress_.given_up;
  outcome.status = given_up_status_;
  if (step.generation->attributes().post_request != nullptr) {
    call_post(step, outcome, context, request_in, remote_in);
  }
  return SONICORN_DECLINED;
}

std::int32_t Passage::answer(const Step& step) { return fail(step, "pre_request", SONICORN_OK); }

std::int32_t Passage::fail_unsound(const Step& step, app::CallContext& context) {
  static constexpr std::string_view kUnsound = "a header field that it sets cannot be sent";
  context.set_error(&context, kUnsound.data(), kUnsound.size());
  return fail(step, "pre_request", SONICORN_ERROR);
}

void Passage::tell_failure(const Step& step, std::string_view attribute, std::int32_t result,
                           app::CallContext& context) {
  core::log::error("app {}: {} {} ({}, generation {}): {}", step.app->name(), attribute,
                   result > 0 ? "declined" : "failed", result, step.generation->traits().number,
                   context.take_reason());
}

std::int32_t Passage::fail(const Step& step, std::string_view attribute, std::int32_t result) {
  progress_.failed_app = step.app;
  progress_.failed_generation = step.generation;
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
  std::unique_lock<std::mutex> lock;
  if (progress_.shared) lock = std::unique_lock(mutex_);
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
      const auto same = [](const sonicorn_field& each) {
        return is_named(view_of(each.name), "content-type");
      };
      count = static_cast<std::uint64_t>(std::remove_if(all, all + count, same) - all);
      response.content_type = abi(copied(value));
    } else {
      set(copied(name), copied(value), true);
    }
  }
  response.fields = all;
  response.field_count = count;
}

std::unique_ptr<Passage> Passage::give_up(std::uint32_t result, std::uint32_t status) {
  auto owing = std::make_unique<Passage>();
  const std::lock_guard lock(mutex_);
  progress_.given_up = result;
  given_up_status_ = status;
  owing->outcome_.result = result;
  owing->steps_ = steps_;
  owing->filters_ = filters_;
  owing->progress_.passed = std::exchange(progress_.passed, 0);
  owing->progress_.owed = std::exchange(progress_.owed, 0);
  owing->progress_.handled = std::exchange(progress_.handled, false);
  owing->has_handler_ = has_handler_;
  owing->blocking_ = blocking_;
  owing->joins_ = joins_;
  owing->watched_ = watched_;
  owing->begun_ns_ = begun_ns_;
  owing->fields_ = fields_;
  return owing;
}

void Passage::tell_of_disconnect(app::CallContext& context, const Request& request_in,
                                 std::string_view remote_in) {
  const std::size_t reached = progress_.handled ? steps_.size() : progress_.passed;
  const auto last = std::make_reverse_iterator(steps_.begin() + static_cast<long>(reached));
  for (auto step = last; step != steps_.rend(); ++step) {
    if (step->generation->attributes().on_disconnect == nullptr) continue;
    // An app that is a filter and the handler is told once.
    const auto same = [&](const Step& each) { return each.app == step->app; };
    if (std::any_of(last, step, same)) continue;
    const sonicorn_request& as_abi = request_for(*step, request_in, remote_in);
    context.begin_call(*step->generation, app::Attribute::on_disconnect);
    const std::int32_t result = step->generation->on_disconnect(context, as_abi);
    if (result != SONICORN_OK) tell_failure(*step, "on_disconnect", result, context);
  }
}

}  // namespace sonicorn::http
