// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sonicorn/attributes.h>
#include <sonicorn/context.h>

#include <chrono>
#include <cstdint>
#include <sonicorn/cpp/text.hpp>
#include <string_view>

namespace sonicorn {

// Why a lifecycle call happens. A server newer than this header may send a value that is not
// listed.
enum class Reason : std::uint32_t {
  none = SONICORN_REASON_NONE,
  term = SONICORN_REASON_TERM,
  interrupt = SONICORN_REASON_INT,
  quit = SONICORN_REASON_QUIT,
  reload = SONICORN_REASON_RELOAD,
  admin_stop = SONICORN_REASON_ADMIN_STOP,
  file_changed = SONICORN_REASON_FILE_CHANGED,
  config_changed = SONICORN_REASON_CONFIG_CHANGED,
  rollback = SONICORN_REASON_ROLLBACK,
  max_requests = SONICORN_REASON_MAX_REQUESTS,
  host_upgrade = SONICORN_REASON_HOST_UPGRADE,
  test = SONICORN_REASON_TEST,
  start_failed = SONICORN_REASON_START_FAILED,
  call_ended = SONICORN_REASON_CALL_ENDED,
};

// The reason as the server's log writes it: "term", "int", "admin_stop"; "unknown" for one that
// this header does not know.
constexpr std::string_view name_of(Reason reason) {
  switch (reason) {
    case Reason::none:
      return "none";
    case Reason::term:
      return "term";
    case Reason::interrupt:
      return "int";
    case Reason::quit:
      return "quit";
    case Reason::reload:
      return "reload";
    case Reason::admin_stop:
      return "admin_stop";
    case Reason::file_changed:
      return "file_changed";
    case Reason::config_changed:
      return "config_changed";
    case Reason::rollback:
      return "rollback";
    case Reason::max_requests:
      return "max_requests";
    case Reason::host_upgrade:
      return "host_upgrade";
    case Reason::test:
      return "test";
    case Reason::start_failed:
      return "start_failed";
    case Reason::call_ended:
      return "call_ended";
  }
  return "unknown";
}

// What a call is about.
enum class Scope : std::uint32_t {
  server = SONICORN_SCOPE_SERVER,
  worker = SONICORN_SCOPE_WORKER,
  app = SONICORN_SCOPE_APP,
  request = SONICORN_SCOPE_REQUEST,
  bus = SONICORN_SCOPE_BUS,
};

// What kind of process runs the app.
enum class ProcessRole : std::uint32_t {
  worker = SONICORN_PROCESS_WORKER,
  call = SONICORN_PROCESS_CALL,
  test = SONICORN_PROCESS_TEST,
};

// What kind of thread runs the call.
enum class ThreadRole : std::uint32_t {
  lifecycle = SONICORN_THREAD_LIFECYCLE,
  io = SONICORN_THREAD_IO,
  pool = SONICORN_THREAD_POOL,
  background = SONICORN_THREAD_BACKGROUND,
};

// What a call is about, why it happens, where, and until when. A view: it and the text it gives out
// are valid until the call that received it returns. Only read, so any thread may use it until
// then.
class Context {
 public:
  explicit Context(const sonicorn_context* context) : context_(context) {}

  Scope scope() const { return static_cast<Scope>(context_->scope); }
  Reason reason() const { return static_cast<Reason>(context_->reason); }
  std::string_view reason_name() const { return name_of(reason()); }

  // The signal behind the reason, or 0.
  int signal_number() const { return context_->signal_number; }

  // Until when the call should have returned; time_point::max() when there is no limit.
  std::chrono::steady_clock::time_point deadline() const {
    using std::chrono::steady_clock;
    if (context_->deadline_ns == 0) return steady_clock::time_point::max();
    const std::chrono::nanoseconds since_boot(static_cast<std::int64_t>(context_->deadline_ns));
    return steady_clock::time_point(std::chrono::duration_cast<steady_clock::duration>(since_boot));
  }

  // The attribute's name; for on_event the action.
  std::string_view event() const { return detail::view_of(context_->event); }

  // Optional, often empty; for on_event and reload JSON.
  std::string_view message() const { return detail::view_of(context_->message); }

  int process_id() const { return context_->process_id; }
  ProcessRole process_role() const { return static_cast<ProcessRole>(context_->process_role); }
  std::uint32_t worker_index() const { return context_->worker_index; }
  std::uint64_t thread_id() const { return context_->thread_id; }
  ThreadRole thread_role() const { return static_cast<ThreadRole>(context_->thread_role); }

  // Which generation of this app, counted from 1.
  std::uint64_t generation() const { return context_->generation; }

  // The C struct behind it.
  const sonicorn_context* c() const { return context_; }

 private:
  const sonicorn_context* context_;
};

// The argument of `shutdown`: reason, signal, deadline and message of the stop.
struct Shutdown : Context {
  using Context::Context;
};

// The argument of `drain`.
struct Drain : Context {
  using Context::Context;
};

// The argument of `on_event`.
struct Event : Context {
  using Context::Context;
  // What happened, within scope().
  std::string_view action() const { return event(); }
};

enum class ReloadPhase : std::uint32_t {
  settings = SONICORN_RELOAD_SETTINGS,
  prepare = SONICORN_RELOAD_PREPARE,
  aborted = SONICORN_RELOAD_ABORTED,
};

// The argument of `reload`.
class Reload : public Context {
 public:
  Reload(const sonicorn_context* context, std::uint32_t phase)
      : Context(context), phase_(static_cast<ReloadPhase>(phase)) {}

  // settings: same code, apply settings() or decline; prepare: a new build is about to replace this
  // one, decline to veto; aborted: the new build was dropped, this one stays.
  ReloadPhase phase() const { return phase_; }

  // The new settings, a JSON object.
  std::string_view settings() const { return message(); }

 private:
  ReloadPhase phase_;
};

}  // namespace sonicorn
