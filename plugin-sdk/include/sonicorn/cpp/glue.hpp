// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <concepts>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <sonicorn/cpp/members.hpp>
#include <sonicorn/cpp/server.hpp>
#include <type_traits>
#include <utility>

// From the C functions that the server calls to the members of an app's class. Nothing here throws.
namespace sonicorn::detail {

template <class C>
concept TakesServer = std::is_constructible_v<C, Server&>;

// What the opaque state of the C ABI points to.
template <class C>
struct Cell {
  explicit Cell(const sonicorn_context* context) requires TakesServer<C> : server(context->server),
                                                                           object(server) {}
  explicit Cell(const sonicorn_context* context) requires(!TakesServer<C>)
      : server(context->server), object() {}

  Server server;
  C object;
};

// Who destroys the object. An app that lists `shutdown` has it destroyed there and nowhere else: a
// static destructor that joins a thread would wait for ever on the loader's lock.
template <class C, bool kHasShutdown>
struct Slot {
  Cell<C>* cell = nullptr;
};

template <class C>
struct Slot<C, false> {
  Slot() = default;
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;
  ~Slot() { delete cell; }

  Cell<C>* cell = nullptr;
};

// Inside a catch block only.
__attribute__((cold, noinline)) inline std::int32_t report_exception(
    const sonicorn_context* context) noexcept {
  try {
    throw;
  } catch (const std::exception& exception) {
    return sonicorn_fail(context, exception.what());
  } catch (...) {
    return sonicorn_fail(context, "unknown exception");
  }
}

// Runs `body` with the app's object. A member that does not fit has been reported where it was
// listed, so the body, which would not compile, is left out.
template <class Rule, class C, class Body>
std::int32_t guarded([[maybe_unused]] const sonicorn_context* context, [[maybe_unused]] void* state,
                     [[maybe_unused]] const Body& body) noexcept {
  if constexpr (Rule::template fits<C>()) {
    try {
      return body(static_cast<Cell<C>*>(state)->object);
    } catch (...) {
      return report_exception(context);
    }
  } else {
    return SONICORN_ERROR;
  }
}

// The result of a member that returns nothing, or an enumeration of the ABI's results.
template <class Member, class C, class... Args>
std::int32_t result_of(C& object, Args&... args) {
  using Result = decltype(invoke<Member>(object, args...));
  if constexpr (std::is_void_v<Result>) {
    invoke<Member>(object, args...);
    return SONICORN_OK;
  } else {
    return static_cast<std::int32_t>(invoke<Member>(object, args...));
  }
}

template <class C, class Slot>
std::int32_t call_start(const sonicorn_context* context, void** state, Slot& slot) noexcept {
  if constexpr (TakesServer<C> || std::is_default_constructible_v<C>) {
    if (slot.cell != nullptr) return sonicorn_fail(context, "start was called twice");
    try {
      slot.cell = new Cell<C>(context);
      *state = slot.cell;
      return SONICORN_OK;
    } catch (...) {
      return report_exception(context);
    }
  } else {
    return SONICORN_ERROR;
  }
}

template <class C, class Slot>
std::int32_t call_shutdown(const sonicorn_context* context, void* state, Slot& slot) noexcept {
  const std::int32_t result = guarded<shutdown_rule, C>(context, state, [&](auto& object) {
    const Shutdown why(context);
    return result_of<shutdown_member>(object, why);
  });
  delete static_cast<Cell<C>*>(state);
  slot.cell = nullptr;
  return result;
}

// The attributes that get nothing but the context, seen as an `Argument`.
template <class C, class Rule, class Argument>
std::int32_t call_with_context(const sonicorn_context* context, void* state) noexcept {
  return guarded<Rule, C>(context, state, [&](auto& object) {
    const Argument argument(context);
    return result_of<typename Rule::Member>(object, argument);
  });
}

template <class C>
std::int32_t call_on_request(const sonicorn_context* context, void* state,
                             const sonicorn_request* request,
                             sonicorn_response* response) noexcept {
  return guarded<on_request_rule, C>(context, state, [&](auto& object) -> std::int32_t {
    const Request view(request, context);
    auto answer = invoke<on_request_member>(object, view);
    if constexpr (std::same_as<decltype(answer), Response>) {
      std::move(answer).hand_over(response);
    } else {
      if (!answer.has_value()) return SONICORN_DECLINED;
      std::move(*answer).hand_over(response);
    }
    return SONICORN_OK;
  });
}

template <class C>
std::int32_t call_pre_request(const sonicorn_context* context, void* state,
                              const sonicorn_request* request, sonicorn_response* response,
                              void** exchange) noexcept {
  return guarded<pre_request_rule, C>(context, state, [&](auto& object) -> std::int32_t {
    const Request view(request, context);
    Exchange shared;
    using Result = decltype(invoke<pre_request_member>(object, view, shared));
    if constexpr (std::is_void_v<Result>) {
      invoke<pre_request_member>(object, view, shared);
    } else {
      std::optional<Response> answer = invoke<pre_request_member>(object, view, shared);
      if (answer.has_value()) {
        std::move(*answer).hand_over(response);
        return SONICORN_DECLINED;
      }
    }
    std::move(shared.fields()).hand_over(response);
    // Without a post_request nobody would ever give it back.
    if constexpr (post_request_rule::exists<C>()) *exchange = shared.release().release();
    return SONICORN_OK;
  });
}

template <class C>
std::int32_t call_post_request(const sonicorn_context* context, void* state,
                               const sonicorn_request* request, const sonicorn_outcome* outcome,
                               void* exchange) noexcept {
  Exchange shared(std::unique_ptr<Attachment>(static_cast<Attachment*>(exchange)));
  return guarded<post_request_rule, C>(context, state, [&](auto& object) {
    const Request view(request, context);
    const Outcome how(outcome);
    return result_of<post_request_member>(object, view, how, shared);
  });
}

template <class C>
std::int32_t call_on_disconnect(const sonicorn_context* context, void* state,
                                const sonicorn_request* request) noexcept {
  return guarded<on_disconnect_rule, C>(context, state, [&](auto& object) {
    const Request view(request, context);
    return result_of<on_disconnect_member>(object, view);
  });
}

template <class C>
WebSocket websocket_of(void* state, sonicorn_websocket* socket, void* session) {
  return {static_cast<Cell<C>*>(state)->server.template capability<sonicorn_websocket_service>(),
          socket, std::unique_ptr<Attachment>(static_cast<Attachment*>(session))};
}

template <class C>
std::int32_t call_on_websocket_open(const sonicorn_context* context, void* state,
                                    const sonicorn_request* request, sonicorn_websocket* socket,
                                    void** session) noexcept {
  return guarded<on_websocket_open_rule, C>(context, state, [&](auto& object) {
    const Request view(request, context);
    WebSocket open = websocket_of<C>(state, socket, nullptr);
    const std::int32_t result = result_of<on_websocket_open_member>(object, view, open);
    if (result == SONICORN_OK && on_websocket_close_rule::exists<C>()) {
      *session = open.release().release();
    }
    return result;
  });
}

template <class C>
std::int32_t call_on_websocket_message(const sonicorn_context* context, void* state,
                                       sonicorn_websocket* socket, void* session,
                                       const sonicorn_websocket_message* message) noexcept {
  return guarded<on_websocket_message_rule, C>(context, state, [&](auto& object) {
    // The session outlives the call, also one that throws: on_websocket_close deletes it.
    struct Borrowed {
      WebSocket socket;
      ~Borrowed() { (void)socket.release().release(); }
    } open{websocket_of<C>(state, socket, session)};
    const WebSocketMessage view(message);
    return result_of<on_websocket_message_member>(object, open.socket, view);
  });
}

template <class C>
std::int32_t call_on_websocket_close(const sonicorn_context* context, void* state,
                                     sonicorn_websocket* socket, void* session,
                                     const sonicorn_websocket_end* end) noexcept {
  WebSocket closed = websocket_of<C>(state, socket, session);
  return guarded<on_websocket_close_rule, C>(context, state, [&](auto& object) {
    const WebSocketEnd how(end);
    return result_of<on_websocket_close_member>(object, closed, how);
  });
}

template <class C>
std::int32_t call_reload(const sonicorn_context* context, void* state,
                         std::uint32_t phase) noexcept {
  return guarded<reload_rule, C>(context, state, [&](auto& object) {
    const Reload what(context, phase);
    return result_of<reload_member>(object, what);
  });
}

template <class C>
std::int32_t call_load_state(const sonicorn_context* context, void* state,
                             const sonicorn_blob* saved) noexcept {
  return guarded<load_state_rule, C>(context, state, [&](auto& object) {
    const SavedState view(saved);
    return result_of<load_state_member>(object, view);
  });
}

template <class C>
std::int32_t call_save_state(const sonicorn_context* context, void* state,
                             sonicorn_blob* saved) noexcept {
  return guarded<save_state_rule, C>(context, state, [&](auto& object) -> std::int32_t {
    std::optional<State> kept = invoke<save_state_member>(object);
    if (!kept.has_value()) return SONICORN_DECLINED;
    hand_over(std::make_unique<State>(std::move(*kept)), saved);
    return SONICORN_OK;
  });
}

template <class C>
std::int32_t call_describe(const sonicorn_context* context, void* state,
                           sonicorn_blob* description) noexcept {
  return guarded<describe_rule, C>(context, state, [&](auto& object) -> std::int32_t {
    auto text = std::make_unique<State>();
    text->bytes = invoke<describe_member>(object);
    hand_over(std::move(text), description);
    return SONICORN_OK;
  });
}

}  // namespace sonicorn::detail
