// SPDX-License-Identifier: Apache-2.0
#include "instance.hpp"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <exception>
#include <sonicorn/testing/error.hpp>
#include <utility>

namespace sonicorn::testing::detail {
namespace {

constexpr std::chrono::milliseconds kRequestTime = std::chrono::seconds(30);

// A context, and what the app says through it.
struct CallContext : sonicorn_context {
  mutable std::string error;

  static void store(const sonicorn_context* context, const char* text, std::uint64_t text_size) {
    static_cast<const CallContext*>(context)->error.assign(text == nullptr ? "" : text,
                                                           text == nullptr ? 0 : text_size);
  }
};

// The calling thread has a role as long as this lives.
class RoleHere {
 public:
  explicit RoleHere(std::uint32_t role) : before_(std::exchange(role_here(), role)) {}
  ~RoleHere() { role_here() = before_; }
  RoleHere(const RoleHere&) = delete;
  RoleHere& operator=(const RoleHere&) = delete;

 private:
  std::uint32_t before_;
};

sonicorn_string abi(std::string_view text) { return {text.data(), text.size()}; }

std::uint64_t deadline_in(std::chrono::milliseconds time) {
  if (time.count() == 0) return 0;
  const auto deadline = std::chrono::steady_clock::now() + time;
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(deadline.time_since_epoch()).count());
}

int signal_of(const Stop& why) {
  if (why.signal_number != 0) return why.signal_number;
  switch (why.reason) {
    case Reason::term:
      return SIGTERM;
    case Reason::interrupt:
      return SIGINT;
    case Reason::quit:
      return SIGQUIT;
    default:
      return 0;
  }
}

// The mount as an app sees it. Throws Misuse.
std::string normal_mount(const std::string& mount) {
  const bool plain = mount.starts_with('/') && mount.find("//") == std::string::npos &&
                     mount.find_first_of(" %?#") == std::string::npos;
  if (!plain) {
    throw Misuse("the mount \"" + mount + "\" is none; write \"/\" or a prefix like \"/api/v1\"");
  }
  return mount.ends_with('/') ? mount.substr(0, mount.size() - 1) : mount;
}

const std::string& checked_settings(const std::string& settings) {
  if (!is_json_object(settings)) {
    throw Misuse("settings are a JSON object, not " + settings);
  }
  return settings;
}

}  // namespace

Instance::Instance(std::shared_ptr<World> world, Manifest manifest, std::unique_ptr<Module> module,
                   Functions functions, AppOptions options)
    : world_(std::move(world)),
      module_(std::move(module)),
      functions_(functions),
      blocking_(manifest.blocking),
      view_(*this, *world_,
            {options.name.empty() ? manifest.name : options.name, normal_mount(options.mount),
             checked_settings(options.settings)}),
      generation_(++world_->generations[name()]) {
  for (const Instance* other : world_->apps) {
    if (!other->is_over() && functions_.on_request != nullptr &&
        other->functions_.on_request != nullptr && mount() == other->mount()) {
      throw Misuse("app " + name() + " has the mount of app " + other->name() +
                   ", and both answer requests: give one another mount");
    }
  }
  const std::lock_guard lock(world_->mutex);
  world_->apps.push_back(this);
}

Instance::~Instance() {
  const std::lock_guard lock(world_->mutex);
  std::erase(world_->apps, this);
}

void Instance::require_running(const char* what) const {
  const std::string sentence = "app " + name() + ": " + what + " ";
  switch (phase_) {
    case Phase::started:
      return;
    case Phase::loaded:
      throw Misuse(sentence + "before start");
    case Phase::failed:
      throw Misuse(sentence + "after its start failed: " + start_error_);
    case Phase::stopped:
      throw Misuse(sentence + "after shutdown");
  }
}

template <class Body>
Result Instance::call(const About& about, const Body& body) {
  CallContext context{};
  context.size = sizeof(sonicorn_context);
  context.scope = static_cast<std::uint32_t>(about.scope);
  context.reason = static_cast<std::uint32_t>(about.reason);
  context.signal_number = about.signal_number;
  context.process_id = ::getpid();
  context.process_role = SONICORN_PROCESS_TEST;
  context.thread_role = about.role;
  context.thread_id = static_cast<std::uint64_t>(::gettid());
  context.generation = generation_;
  context.deadline_ns = deadline_in(about.time);
  context.event = abi(about.event.empty() ? about.attribute : about.event);
  context.message = abi(about.message);
  context.server = view_.abi();
  context.set_error = &CallContext::store;

  // Written down before the call, so that calls into other apps that it leads to stand behind it.
  const Call before{name(),
                    about.attribute,
                    about.scope,
                    about.reason,
                    static_cast<ThreadRole>(about.role),
                    SONICORN_OK,
                    {}};
  const std::size_t at = calls.size();
  const std::size_t at_in_world = world_->calls.size();
  calls.push_back(before);
  world_->calls.push_back(before);

  Result result;
  const auto tell_on = [&](const std::string& what) {
    result.code = SONICORN_ERROR;
    world_->complain("app " + name() + " let an exception out of " + about.attribute + " (" + what +
                     "); none may cross the ABI");
  };
  {
    const RoleHere role(about.role);
    try {
      result.code = body(&context);
    } catch (const std::exception& exception) {
      tell_on(exception.what());
    } catch (...) {
      tell_on("of unknown type");
    }
  }
  if (!result.ok()) result.error = context.error;
  for (Call* const written : {&calls[at], &world_->calls[at_in_world]}) {
    written->result = result.code;
    written->error = context.error;
  }
  if (result.failed()) {
    const std::lock_guard lock(world_->mutex);
    world_->log.push_back(
        {name(), Level::error, std::string(about.attribute) + " failed: " + result.error});
  }
  return result;
}

template <class Body>
Result Instance::call_for_request(const char* attribute, const Body& body) {
  return call({.attribute = attribute,
               .scope = Scope::request,
               .role = blocking_ ? SONICORN_THREAD_POOL : SONICORN_THREAD_IO,
               .time = kRequestTime},
              body);
}

Result Instance::start() {
  if (phase_ == Phase::started) throw Misuse("app " + name() + ": start a second time");
  if (phase_ != Phase::loaded) require_running("start");
  takes_work_ = true;
  Result result{.called = functions_.start != nullptr};
  if (result.called) {
    result = call({.attribute = "start"}, [this](const sonicorn_context* context) {
      return functions_.start(context, &state_);
    });
  }
  if (result.ok()) {
    phase_ = Phase::started;
  } else {
    phase_ = Phase::failed;
    start_error_ = result.error;
    const std::vector<std::string> stuck = end_work();
    stuck_ = !stuck.empty();
    for (const std::string& thread : stuck) {
      world_->complain("app " + name() + ": its background thread \"" + thread +
                       "\" did not end after start failed");
    }
  }
  world_->finish();
  return result;
}

Result Instance::health() {
  require_running("health");
  if (functions_.health == nullptr) return {.called = false};
  Result result = call({.attribute = "health"}, [this](const sonicorn_context* context) {
    return functions_.health(context, state_);
  });
  world_->finish();
  return result;
}

Result Instance::ready() {
  require_running("ready");
  if (ready_called_) throw Misuse("app " + name() + ": ready a second time");
  ready_called_ = true;
  if (functions_.ready == nullptr) return {.called = false};
  Result result = call({.attribute = "ready"}, [this](const sonicorn_context* context) {
    return functions_.ready(context, state_);
  });
  world_->finish();
  return result;
}

Result Instance::event(const ServerEvent& event) {
  require_running("event");
  if (event.scope == Scope::bus) {
    throw Misuse("app " + name() + ": a message of the bus comes from Host::publish");
  }
  if (!event.message.empty() && !is_json(event.message)) {
    throw Misuse("app " + name() + ": the message of an event is JSON, not " + event.message);
  }
  if (functions_.on_event == nullptr) {
    return {.called = false};
  }
  Result result = call(
      {.attribute = "on_event",
       .scope = event.scope,
       .reason = event.reason,
       .event = event.action,
       .message = event.message},
      [this](const sonicorn_context* context) { return functions_.on_event(context, state_); });
  world_->finish();
  return result;
}

Result Instance::reload(std::uint32_t phase, const std::string& settings) {
  require_running("reload");
  checked_settings(settings);
  if (functions_.reload == nullptr) {
    return {.called = false};
  }
  const bool is_settings = phase == SONICORN_RELOAD_SETTINGS;
  Result result = call(
      {.attribute = "reload",
       .reason = is_settings ? Reason::config_changed : Reason::reload,
       .message = settings},
      [&](const sonicorn_context* context) { return functions_.reload(context, state_, phase); });
  world_->finish();
  return result;
}

Result Instance::drain(const Stop& why) {
  require_running("drain");
  drained_ = false;
  draining_ = true;
  if (functions_.drain == nullptr) {
    drained_ = true;
    return {.called = false};
  }
  Result result =
      call({.attribute = "drain",
            .reason = why.reason,
            .signal_number = signal_of(why),
            .message = why.message,
            .time = why.time.value_or(world_->options.grace)},
           [this](const sonicorn_context* context) { return functions_.drain(context, state_); });
  // An error cannot be waited for.
  if (!result.declined()) drained_ = true;
  world_->finish();
  return result;
}

void Instance::drain_finished() {
  if (draining_) drained_ = true;
}

std::string Instance::describe() {
  require_running("describe");
  if (functions_.describe == nullptr) return "";
  sonicorn_blob description{};
  description.size = sizeof(description);
  const Result result = call({.attribute = "describe"}, [&](const sonicorn_context* context) {
    return functions_.describe(context, state_, &description);
  });
  const std::string text(description.bytes.data == nullptr ? "" : description.bytes.data,
                         description.bytes.size);
  if (description.release != nullptr) description.release(description.release_argument);
  if (!result.ok()) {
    world_->complain("app " + name() + ": describe " +
                     (result.failed() ? "failed: " + result.error : "declined"));
  } else if (!is_json_object(text)) {
    world_->complain("app " + name() + ": describe gives no JSON object: " + text);
  }
  world_->finish();
  return text;
}

std::vector<std::string> Instance::end_work() {
  takes_work_ = false;
  world_->forget(*this);
  std::vector<std::string> stuck = world_->stop_threads(*this);
  // Threads may have published while they ended.
  world_->forget(*this);
  const std::lock_guard lock(world_->mutex);
  view_.unsubscribe_all();
  return stuck;
}

Result Instance::shutdown(const Stop& why) {
  require_running("shutdown");
  if (thread_started_ && functions_.thread_exit != nullptr) {
    call({.attribute = "thread_exit",
          .scope = Scope::worker,
          .role = blocking_ ? SONICORN_THREAD_POOL : SONICORN_THREAD_IO},
         [this](const sonicorn_context* context) {
           return functions_.thread_exit(context, state_);
         });
  }
  const std::vector<std::string> stuck = end_work();
  phase_ = Phase::stopped;
  if (!stuck.empty()) {
    stuck_ = true;
    std::string sentence = "app " + name() + ": ";
    for (const std::string& thread : stuck) {
      sentence += (&thread == &stuck.front() ? "the background thread \"" : "\", \"") + thread;
    }
    throw BrokenRule(sentence + "\" did not end within " +
                     std::to_string(world_->options.patience.count()) +
                     " ms after it was told to stop; shutdown was not called");
  }
  Result result{.called = functions_.shutdown != nullptr};
  if (result.called) {
    result = call(
        {.attribute = "shutdown",
         .reason = why.reason,
         .signal_number = signal_of(why),
         .message = why.message,
         .time = why.time.value_or(world_->options.grace)},
        [this](const sonicorn_context* context) { return functions_.shutdown(context, state_); });
  }
  if (functions_.destroy != nullptr) functions_.destroy();
  module_.reset();
  world_->finish();
  return result;
}

bool Instance::enter_requests() {
  require_running("a request");
  if (!ready_called_) ready();
  if (thread_started_ || thread_refused_) return !thread_refused_;
  if (functions_.thread_start == nullptr) return true;
  const Result result = call(
      {.attribute = "thread_start",
       .scope = Scope::worker,
       .role = blocking_ ? SONICORN_THREAD_POOL : SONICORN_THREAD_IO},
      [this](const sonicorn_context* context) { return functions_.thread_start(context, state_); });
  thread_started_ = result.ok();
  thread_refused_ = !result.ok();
  return thread_started_;
}

bool Instance::filters() const {
  return functions_.pre_request != nullptr || functions_.post_request != nullptr;
}

bool Instance::hears_of_disconnects() const { return functions_.on_disconnect != nullptr; }

std::int32_t Instance::on_request(const sonicorn_request& request, sonicorn_response& response,
                                  std::string& error) {
  const Result result = call_for_request("on_request", [&](const sonicorn_context* context) {
    return functions_.on_request(context, state_, &request, &response);
  });
  error = result.error;
  return result.code;
}

std::int32_t Instance::pre_request(const sonicorn_request& request, sonicorn_response& response,
                                   void** exchange, std::string& error) {
  const Result result = call_for_request("pre_request", [&](const sonicorn_context* context) {
    return functions_.pre_request(context, state_, &request, &response, exchange);
  });
  error = result.error;
  return result.code;
}

void Instance::post_request(const sonicorn_request& request, const sonicorn_outcome& outcome,
                            void* exchange) {
  if (functions_.post_request == nullptr) return;
  call_for_request("post_request", [&](const sonicorn_context* context) {
    return functions_.post_request(context, state_, &request, &outcome, exchange);
  });
}

void Instance::on_disconnect(const sonicorn_request& request) {
  call_for_request("on_disconnect", [&](const sonicorn_context* context) {
    return functions_.on_disconnect(context, state_, &request);
  });
}

void Instance::fire(const Timer& timer) {
  call({.attribute = "timer"}, [&timer](const sonicorn_context*) {
    timer.callback(timer.argument);
    return SONICORN_OK;
  });
}

void Instance::take_message(const Message& message) {
  if (!is_running() || functions_.on_event == nullptr) return;
  call({.attribute = "on_event",
        .scope = Scope::bus,
        .event = message.topic,
        .message = message.json},
       [this](const sonicorn_context* context) { return functions_.on_event(context, state_); });
}

}  // namespace sonicorn::testing::detail
