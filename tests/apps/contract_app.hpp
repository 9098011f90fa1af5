// An app with every attribute, each of whose calls is journalled: a line of JSON when it begins and
// one when it ends, appended in one write to the file that the setting "journal" names. Several
// apps may share a journal; its order is the order of what happened.
//
// The setting "steer" names a file of lines "ATTRIBUTE=BEHAVIOUR", read at every call:
//   fail, decline, throw, throw_int    what they say
//   nonsense, least                    the results 12345 and INT32_MIN
//   hang                               returns once there is a byte in the FIFO of the setting
//   "gate" handle_term, ignore_int, default_pipe, block_pipe, unblock_term
//                                      meddles with a signal, and is OK
// An app hides (CONTRACT_HIDES) what it does not declare.
#ifndef SONICORN_TESTS_CONTRACT_APP_HPP
#define SONICORN_TESTS_CONTRACT_APP_HPP

#include <sys/syscall.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <stdexcept>
#include <string>
#include <string_view>

#include "fixture.h"

// The function is there and journals, but it is no declared attribute.
#define CONTRACT_HIDES(attribute) __asm__(".hidden sonicorn_" #attribute)

namespace contract {

inline char the_state;
inline std::atomic<unsigned long> exchanges{0};

inline std::string setting(const sonicorn_server* server, const char* key) {
  char value[FIXTURE_PATH_SIZE];
  fixture_setting(server, key, value);
  return value;
}

inline std::string text_of(sonicorn_string text) {
  return text.data == nullptr ? std::string() : std::string(text.data, text.size);
}

// As a JSON string.
inline std::string quoted(std::string_view text) {
  std::string json = "\"";
  for (const char c : text) {
    char code[8];
    std::snprintf(code, sizeof code, "\\u%04x", static_cast<unsigned>(c) & 0xff);
    const bool plain = c >= ' ' && c != '"' && c != '\\' && c != 0x7f;
    json += plain ? std::string(1, c) : std::string(code);
  }
  return json + "\"";
}

inline void append(const sonicorn_server* server, const std::string& line) {
  const std::string path = setting(server, "journal");
  if (path.empty()) return;
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (file < 0) return;
  if (write(file, line.data(), line.size()) < 0) std::perror("journal");
  close(file);
}

// What the steering file says of the attribute in one worker ("ATTRIBUTE@0=...") or in all; empty
// when it says nothing.
inline std::string behaviour_of(const sonicorn_server* server, const char* attribute,
                                std::uint32_t worker) {
  const std::string path = setting(server, "steer");
  if (path.empty()) return {};
  std::string all = "\n";
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return {};
  char buffer[4096];
  for (ssize_t count; (count = read(file, buffer, sizeof buffer)) > 0;) {
    all.append(buffer, static_cast<std::size_t>(count));
  }
  close(file);
  const std::string any = std::string("\n") + attribute;
  for (const std::string& key : {any + "@" + std::to_string(worker) + "=", any + "="}) {
    const auto at = all.find(key);
    if (at == std::string::npos) continue;
    const auto begin = at + key.size();
    return all.substr(begin, all.find('\n', begin) - begin);
  }
  return {};
}

inline long long milliseconds_until(std::uint64_t deadline_ns) {
  if (deadline_ns == 0) return -1;
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  const long long now_ns = static_cast<long long>(now.tv_sec) * 1'000'000'000 + now.tv_nsec;
  return (static_cast<long long>(deadline_ns) - now_ns) / 1'000'000;
}

// The process's only place where an app hangs, so that a backtrace can be told by its name.
__attribute__((noinline)) inline void hang_at_the_gate(const std::string& gate) {
  fixture_wait(gate.c_str());
  __asm__ volatile("");  // no tail call: the frame stays
}

inline void on_term(int) {}

inline void meddle(const std::string& how) {
  sigset_t set;
  sigemptyset(&set);
  if (how == "handle_term") signal(SIGTERM, on_term);
  if (how == "ignore_int") signal(SIGINT, SIG_IGN);
  if (how == "default_pipe") signal(SIGPIPE, SIG_DFL);
  if (how == "block_pipe") {
    sigaddset(&set, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
  }
  if (how == "unblock_term") {
    sigaddset(&set, SIGTERM);
    pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  }
}

// One call, journalled.
class Call {
 public:
  // `more`: further members of the lines, each with a comma before it.
  Call(const char* attribute, const sonicorn_context* context, const void* state,
       std::string more = {})
      : attribute_(attribute),
        context_(context),
        state_(state),
        more_(std::move(more)),
        how_(behaviour_of(context->server, attribute, context->worker_index)) {
    write("begin", {});
  }

  // Does what it was steered to when it began.
  int32_t act() {
    const std::string& how = how_;
    if (how == "throw" || how == "throw_int") {
      write("end", ",\"result\":" + quoted(how));
      if (how == "throw") throw std::runtime_error("steered to throw");
      throw 42;
    }
    if (how == "exit") std::exit(3);
    if (how == "hang") hang_at_the_gate(setting(context_->server, "gate"));
    meddle(how);
    if (how == "fail") return end(sonicorn_fail(context_, "steered to fail"));
    if (how == "decline") return end(SONICORN_DECLINED);
    if (how == "nonsense") return end(12345);
    if (how == "least") return end(INT32_MIN);
    return end(SONICORN_OK);
  }

  int32_t end(int32_t result, const std::string& more = {}) {
    write("end", ",\"result\":" + std::to_string(result) + more);
    return result;
  }

 private:
  void write(const char* phase, const std::string& more) const {
    const sonicorn_context& c = *context_;
    char text[1024];
    std::snprintf(text, sizeof text,
                  "\"call\":\"%s\",\"phase\":\"%s\",\"thread\":%ld,\"context_thread\":%llu,"
                  "\"role\":%u,\"pid\":%d,\"context_pid\":%d,\"process_role\":%u,\"worker\":%u,"
                  "\"scope\":%u,\"reason\":%u,\"signal\":%d,\"deadline_ms\":%lld,"
                  "\"generation\":%llu,\"state\":%s",
                  attribute_, phase, syscall(SYS_gettid),
                  static_cast<unsigned long long>(c.thread_id), c.thread_role, getpid(),
                  c.process_id, c.process_role, c.worker_index, c.scope, c.reason, c.signal_number,
                  milliseconds_until(c.deadline_ns), static_cast<unsigned long long>(c.generation),
                  state_ == &the_state ? "true" : "false");
    append(c.server, "{\"app\":" + quoted(text_of(c.server->app_name)) + "," + text +
                         ",\"event\":" + quoted(text_of(c.event)) +
                         ",\"message\":" + quoted(text_of(c.message)) + more_ + more + "}\n");
  }

  const char* attribute_;
  const sonicorn_context* context_;
  const void* state_;
  std::string more_;
  std::string how_;
};

inline std::string about(const sonicorn_request* request) {
  return ",\"path\":" + quoted(text_of(request->path)) +
         ",\"id\":" + quoted(text_of(fixture_query(request, "id")));
}

inline std::string exchange_of(const void* exchange) {
  return ",\"exchange\":" + std::to_string(reinterpret_cast<std::uintptr_t>(exchange));
}

// An answer with this text as its body.
inline void answer(sonicorn_response* response, const std::string& text) {
  auto* const body = static_cast<char*>(response->allocate(response, text.size() + 1));
  if (body == nullptr) return;
  memcpy(body, text.data(), text.size());
  response->body = {body, text.size()};
}

}  // namespace contract

#ifndef CONTRACT_ON_REQUEST
#define CONTRACT_ON_REQUEST(context, request, response) false
#endif
#ifndef CONTRACT_ON_START
#define CONTRACT_ON_START(context) (void)0
#endif

int32_t sonicorn_start(const sonicorn_context* context, void** state) {
  contract::Call call("start", context, &contract::the_state);
  *state = &contract::the_state;
  CONTRACT_ON_START(context);
  return call.act();
}

int32_t sonicorn_load_state(const sonicorn_context* context, void* state, const sonicorn_blob*) {
  return contract::Call("load_state", context, state).act();
}

int32_t sonicorn_health(const sonicorn_context* context, void* state) {
  return contract::Call("health", context, state).act();
}

int32_t sonicorn_ready(const sonicorn_context* context, void* state) {
  return contract::Call("ready", context, state).act();
}

int32_t sonicorn_on_request(const sonicorn_context* context, void* state,
                            const sonicorn_request* request, sonicorn_response* response) {
  contract::Call call("on_request", context, state, contract::about(request));
  if (CONTRACT_ON_REQUEST(context, request, response)) return call.end(SONICORN_OK);
  contract::answer(response, contract::text_of(context->server->app_name) + "\n");
  return call.act();
}

int32_t sonicorn_pre_request(const sonicorn_context* context, void* state,
                             const sonicorn_request* request, sonicorn_response* response,
                             void** exchange) {
  *exchange = reinterpret_cast<void*>(++contract::exchanges);
  contract::Call call("pre_request", context, state,
                      contract::about(request) + contract::exchange_of(*exchange));
  const int32_t result = call.act();
  if (result > 0) contract::answer(response, "filtered\n");
  auto* const field =
      static_cast<sonicorn_field*>(response->allocate(response, sizeof(sonicorn_field)));
  if (field == nullptr) return SONICORN_ERROR;
  *field = {SONICORN_STRING("X-Passed"), context->server->app_name};
  response->fields = field;
  response->field_count = 1;
  return result;
}

int32_t sonicorn_post_request(const sonicorn_context* context, void* state,
                              const sonicorn_request* request, const sonicorn_outcome* outcome,
                              void* exchange) {
  return contract::Call("post_request", context, state,
                        contract::about(request) + contract::exchange_of(exchange) +
                            ",\"outcome\":" + std::to_string(outcome->result) +
                            ",\"status\":" + std::to_string(outcome->status))
      .act();
}

int32_t sonicorn_on_disconnect(const sonicorn_context* context, void* state,
                               const sonicorn_request* request) {
  return contract::Call("on_disconnect", context, state, contract::about(request)).act();
}

int32_t sonicorn_on_websocket_open(const sonicorn_context* context, void* state,
                                   const sonicorn_request* request, sonicorn_websocket*, void**) {
  return contract::Call("on_websocket_open", context, state, contract::about(request)).act();
}

int32_t sonicorn_on_websocket_message(const sonicorn_context* context, void* state,
                                      sonicorn_websocket*, void*,
                                      const sonicorn_websocket_message*) {
  return contract::Call("on_websocket_message", context, state).act();
}

int32_t sonicorn_on_websocket_close(const sonicorn_context* context, void* state,
                                    sonicorn_websocket*, void*, const sonicorn_websocket_end*) {
  return contract::Call("on_websocket_close", context, state).act();
}

int32_t sonicorn_on_event(const sonicorn_context* context, void* state) {
  return contract::Call("on_event", context, state).act();
}

int32_t sonicorn_thread_start(const sonicorn_context* context, void* state) {
  return contract::Call("thread_start", context, state).act();
}

int32_t sonicorn_thread_exit(const sonicorn_context* context, void* state) {
  return contract::Call("thread_exit", context, state).act();
}

int32_t sonicorn_reload(const sonicorn_context* context, void* state, uint32_t phase) {
  return contract::Call("reload", context, state, ",\"reload\":" + std::to_string(phase)).act();
}

int32_t sonicorn_save_state(const sonicorn_context* context, void* state, sonicorn_blob*) {
  return contract::Call("save_state", context, state).act();
}

int32_t sonicorn_drain(const sonicorn_context* context, void* state) {
  return contract::Call("drain", context, state).act();
}

int32_t sonicorn_shutdown(const sonicorn_context* context, void* state) {
  return contract::Call("shutdown", context, state).act();
}

int32_t sonicorn_describe(const sonicorn_context* context, void* state,
                          sonicorn_blob* description) {
  const std::string how =
      contract::behaviour_of(context->server, "describe", context->worker_index);
  description->bytes = how == "no_json" ? SONICORN_STRING("{\"routes\": [")
                                        : SONICORN_STRING("{\"routes\": [\"/\"]}");
  return contract::Call("describe", context, state).act();
}

#endif
