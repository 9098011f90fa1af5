// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sonicorn/cpp/glue.hpp>

// The C function of each attribute, and what is said when the member behind it is not right. One
// block an attribute: what its member looks like, and the function that SONICORN_APP defines when
// it is listed.

// Listed: the member must be there, and callable.
#define SONICORN_DETAIL_REQUIRE(C, name, shape)                                                    \
  static_assert(                                                                                   \
      ::sonicorn::detail::name##_rule::exists<C>() || ::sonicorn::detail::name##_rule::fits<C>(),  \
      "SONICORN_APP: '" #name "' is listed but " #C                                                \
      " has no such member; write it, or take it off the list: " shape);                           \
  static_assert(                                                                                   \
      !::sonicorn::detail::name##_rule::exists<C>() || ::sonicorn::detail::name##_rule::fits<C>(), \
      "SONICORN_APP: " #C "::" #name                                                               \
      " cannot be called as the attribute is; it must "                                            \
      "be public and look like: " shape);

// The header's visibility is said again: GCC does not carry it to a definition inside a namespace.
#define SONICORN_DETAIL_FUNCTION(name, ...)                                                        \
  extern "C" SONICORN_EXPORT int32_t sonicorn_##name(const sonicorn_context* context, void* state, \
                                                     __VA_ARGS__)

#define SONICORN_DETAIL_DEFINE_load_state(C)                                         \
  SONICORN_DETAIL_REQUIRE(C, load_state,                                             \
                          "void load_state(const sonicorn::SavedState& saved); (or " \
                          "sonicorn::Answer)")                                       \
  SONICORN_DETAIL_FUNCTION(load_state, const sonicorn_blob* saved) {                 \
    return ::sonicorn::detail::call_load_state<C>(context, state, saved);            \
  }

#define SONICORN_DETAIL_DEFINE_health(C)                                               \
  SONICORN_DETAIL_REQUIRE(C, health, "void health(); (or sonicorn::Answer)")           \
  extern "C" SONICORN_EXPORT int32_t sonicorn_health(const sonicorn_context* context,  \
                                                     void* state) {                    \
    return ::sonicorn::detail::call_with_context<C, ::sonicorn::detail::health_rule,   \
                                                 ::sonicorn::Context>(context, state); \
  }

#define SONICORN_DETAIL_DEFINE_ready(C)                                                \
  SONICORN_DETAIL_REQUIRE(C, ready, "void ready();")                                   \
  extern "C" SONICORN_EXPORT int32_t sonicorn_ready(const sonicorn_context* context,   \
                                                    void* state) {                     \
    return ::sonicorn::detail::call_with_context<C, ::sonicorn::detail::ready_rule,    \
                                                 ::sonicorn::Context>(context, state); \
  }

#define SONICORN_DETAIL_DEFINE_on_request(C)                                                  \
  SONICORN_DETAIL_REQUIRE(C, on_request,                                                      \
                          "sonicorn::Response on_request(const sonicorn::Request& request); " \
                          "(or std::optional<sonicorn::Response>)")                           \
  SONICORN_DETAIL_FUNCTION(on_request, const sonicorn_request* request,                       \
                           sonicorn_response* response) {                                     \
    return ::sonicorn::detail::call_on_request<C>(context, state, request, response);         \
  }

#define SONICORN_DETAIL_DEFINE_pre_request(C)                                                    \
  SONICORN_DETAIL_REQUIRE(C, pre_request,                                                        \
                          "std::optional<sonicorn::Response> pre_request(const "                 \
                          "sonicorn::Request& request, sonicorn::Exchange& exchange);")          \
  SONICORN_DETAIL_FUNCTION(pre_request, const sonicorn_request* request,                         \
                           sonicorn_response* response, void** exchange) {                       \
    return ::sonicorn::detail::call_pre_request<C>(context, state, request, response, exchange); \
  }

#define SONICORN_DETAIL_DEFINE_post_request(C)                                                   \
  SONICORN_DETAIL_REQUIRE(C, post_request,                                                       \
                          "void post_request(const sonicorn::Request& request, const "           \
                          "sonicorn::Outcome& outcome, sonicorn::Exchange& exchange);")          \
  SONICORN_DETAIL_FUNCTION(post_request, const sonicorn_request* request,                        \
                           const sonicorn_outcome* outcome, void* exchange) {                    \
    return ::sonicorn::detail::call_post_request<C>(context, state, request, outcome, exchange); \
  }

#define SONICORN_DETAIL_DEFINE_on_disconnect(C)                                    \
  SONICORN_DETAIL_REQUIRE(C, on_disconnect,                                        \
                          "void on_disconnect(const sonicorn::Request& request);") \
  SONICORN_DETAIL_FUNCTION(on_disconnect, const sonicorn_request* request) {       \
    return ::sonicorn::detail::call_on_disconnect<C>(context, state, request);     \
  }

#define SONICORN_DETAIL_DEFINE_on_websocket_open(C)                                          \
  SONICORN_DETAIL_REQUIRE(C, on_websocket_open,                                              \
                          "void on_websocket_open(const sonicorn::Request& request, "        \
                          "sonicorn::WebSocket& socket); (or sonicorn::Answer)")             \
  SONICORN_DETAIL_FUNCTION(on_websocket_open, const sonicorn_request* request,               \
                           struct sonicorn_websocket* websocket, void** session) {           \
    return ::sonicorn::detail::call_on_websocket_open<C>(context, state, request, websocket, \
                                                         session);                           \
  }

#define SONICORN_DETAIL_DEFINE_on_websocket_message(C)                                          \
  SONICORN_DETAIL_REQUIRE(C, on_websocket_message,                                              \
                          "void on_websocket_message(sonicorn::WebSocket& socket, const "       \
                          "sonicorn::WebSocketMessage& message);")                              \
  SONICORN_DETAIL_FUNCTION(on_websocket_message, struct sonicorn_websocket* websocket,          \
                           void* session, const sonicorn_websocket_message* message) {          \
    return ::sonicorn::detail::call_on_websocket_message<C>(context, state, websocket, session, \
                                                            message);                           \
  }

#define SONICORN_DETAIL_DEFINE_on_websocket_close(C)                                          \
  SONICORN_DETAIL_REQUIRE(C, on_websocket_close,                                              \
                          "void on_websocket_close(sonicorn::WebSocket& socket, const "       \
                          "sonicorn::WebSocketEnd& end);")                                    \
  SONICORN_DETAIL_FUNCTION(on_websocket_close, struct sonicorn_websocket* websocket,          \
                           void* session, const sonicorn_websocket_end* end) {                \
    return ::sonicorn::detail::call_on_websocket_close<C>(context, state, websocket, session, \
                                                          end);                               \
  }

#define SONICORN_DETAIL_DEFINE_on_event(C)                                              \
  SONICORN_DETAIL_REQUIRE(C, on_event,                                                  \
                          "void on_event(const sonicorn::Event& event); (or "           \
                          "sonicorn::Answer)")                                          \
  extern "C" SONICORN_EXPORT int32_t sonicorn_on_event(const sonicorn_context* context, \
                                                       void* state) {                   \
    return ::sonicorn::detail::call_with_context<C, ::sonicorn::detail::on_event_rule,  \
                                                 ::sonicorn::Event>(context, state);    \
  }

#define SONICORN_DETAIL_DEFINE_thread_start(C)                                                     \
  SONICORN_DETAIL_REQUIRE(C, thread_start, "void thread_start(const sonicorn::Context& context);") \
  extern "C" SONICORN_EXPORT int32_t sonicorn_thread_start(const sonicorn_context* context,        \
                                                           void* state) {                          \
    return ::sonicorn::detail::call_with_context<C, ::sonicorn::detail::thread_start_rule,         \
                                                 ::sonicorn::Context>(context, state);             \
  }

#define SONICORN_DETAIL_DEFINE_thread_exit(C)                                                    \
  SONICORN_DETAIL_REQUIRE(C, thread_exit, "void thread_exit(const sonicorn::Context& context);") \
  extern "C" SONICORN_EXPORT int32_t sonicorn_thread_exit(const sonicorn_context* context,       \
                                                          void* state) {                         \
    return ::sonicorn::detail::call_with_context<C, ::sonicorn::detail::thread_exit_rule,        \
                                                 ::sonicorn::Context>(context, state);           \
  }

#define SONICORN_DETAIL_DEFINE_reload(C)                                      \
  SONICORN_DETAIL_REQUIRE(C, reload,                                          \
                          "void reload(const sonicorn::Reload& reload); (or " \
                          "sonicorn::Answer)")                                \
  SONICORN_DETAIL_FUNCTION(reload, uint32_t phase) {                          \
    return ::sonicorn::detail::call_reload<C>(context, state, phase);         \
  }

#define SONICORN_DETAIL_DEFINE_save_state(C)                                                   \
  SONICORN_DETAIL_REQUIRE(C, save_state,                                                       \
                          "sonicorn::State save_state(); (or std::optional<sonicorn::State>)") \
  SONICORN_DETAIL_FUNCTION(save_state, sonicorn_blob* saved) {                                 \
    return ::sonicorn::detail::call_save_state<C>(context, state, saved);                      \
  }

#define SONICORN_DETAIL_DEFINE_drain(C)                                                     \
  SONICORN_DETAIL_REQUIRE(C, drain,                                                         \
                          "void drain(const sonicorn::Drain& why); (or sonicorn::Drained)") \
  extern "C" SONICORN_EXPORT int32_t sonicorn_drain(const sonicorn_context* context,        \
                                                    void* state) {                          \
    return ::sonicorn::detail::call_with_context<C, ::sonicorn::detail::drain_rule,         \
                                                 ::sonicorn::Drain>(context, state);        \
  }

#define SONICORN_DETAIL_DEFINE_shutdown(C)                                              \
  SONICORN_DETAIL_REQUIRE(C, shutdown, "void shutdown(const sonicorn::Shutdown& why);") \
  extern "C" SONICORN_EXPORT int32_t sonicorn_shutdown(const sonicorn_context* context, \
                                                       void* state) {                   \
    return ::sonicorn::detail::call_shutdown<C>(context, state, sonicorn_detail_slot);  \
  }

#define SONICORN_DETAIL_DEFINE_describe(C)                                    \
  SONICORN_DETAIL_REQUIRE(C, describe, "std::string describe();")             \
  SONICORN_DETAIL_FUNCTION(describe, sonicorn_blob* description) {            \
    return ::sonicorn::detail::call_describe<C>(context, state, description); \
  }
