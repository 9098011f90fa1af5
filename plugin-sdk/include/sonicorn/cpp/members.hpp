// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sonicorn/attributes.h>

#include <concepts>
#include <cstdint>
#include <optional>
#include <sonicorn/cpp/context.hpp>
#include <sonicorn/cpp/exchange.hpp>
#include <sonicorn/cpp/request.hpp>
#include <sonicorn/cpp/response.hpp>
#include <sonicorn/cpp/state.hpp>
#include <sonicorn/cpp/websocket.hpp>
#include <string>
#include <type_traits>
#include <utility>

namespace sonicorn {

// What a member may return where "no" is a proper answer. A member that returns void says ok; one
// that throws says error.
enum class Answer : std::int32_t { ok = SONICORN_OK, declined = SONICORN_DECLINED };

// What `drain` may return. not_yet: the app says later, through drain/1, that it has finished.
enum class Drained : std::int32_t { yes = SONICORN_OK, not_yet = SONICORN_DECLINED };

// What is known at compile time about the members of an app's class that have an attribute's name.
namespace detail {

// NAME_member: whether a class has the member NAME, and a call of it. A member is found even if it
// is overloaded or private: the name is ambiguous beside a namesake. Nothing derives from a final
// class, so SONICORN_APP takes none, and nothing more is said of its members.
#define SONICORN_DETAIL_MEMBER(name)                                               \
  struct name##_namesake {                                                         \
    int name;                                                                      \
  };                                                                               \
  template <class C>                                                               \
  struct name##_beside_namesake : C, name##_namesake {};                           \
  struct name##_member {                                                           \
    template <class C>                                                             \
    static consteval bool exists() {                                               \
      if constexpr (std::is_final_v<C>) {                                          \
        return false;                                                              \
      } else {                                                                     \
        return !requires { &name##_beside_namesake<C>::name; };                    \
      }                                                                            \
    }                                                                              \
    template <class C, class... Args>                                              \
    static auto call(C& object, Args&... args) -> decltype(object.name(args...)) { \
      return object.name(args...);                                                 \
    }                                                                              \
  };
SONICORN_ATTRIBUTES(SONICORN_DETAIL_MEMBER)
#undef SONICORN_DETAIL_MEMBER

// Calls the member with as many of the arguments, from the first, as it takes.
template <class Member, class C>
decltype(auto) invoke(C& object) {
  return Member::call(object);
}

template <class Member, class C, class A>
decltype(auto) invoke(C& object, A& a) {
  if constexpr (requires { Member::call(object, a); }) {
    return Member::call(object, a);
  } else {
    return Member::call(object);
  }
}

template <class Member, class C, class A, class B>
decltype(auto) invoke(C& object, A& a, B& b) {
  if constexpr (requires { Member::call(object, a, b); }) {
    return Member::call(object, a, b);
  } else {
    return invoke<Member>(object, a);
  }
}

template <class Member, class C, class A, class B, class D>
decltype(auto) invoke(C& object, A& a, B& b, D& d) {
  if constexpr (requires { Member::call(object, a, b, d); }) {
    return Member::call(object, a, b, d);
  } else {
    return invoke<Member>(object, a, b);
  }
}

template <class... Types>
struct Returns {
  template <class Type>
  static consteval bool has() {
    return (std::same_as<Type, Types> || ...);
  }
};

// Whether the member takes these arguments, or none, or the first ones, and returns one of
// `Allowed`.
template <class Member, class C, class Allowed>
consteval bool fits() {
  if constexpr (requires(C & object) { Member::call(object); }) {
    return Allowed::template has<decltype(Member::call(std::declval<C&>()))>();
  }
  return false;
}

template <class Member, class C, class Allowed, class A>
consteval bool fits() {
  if constexpr (requires(C & object, A & a) { Member::call(object, a); }) {
    return Allowed::template has<decltype(Member::call(std::declval<C&>(), std::declval<A&>()))>();
  } else {
    return fits<Member, C, Allowed>();
  }
}

template <class Member, class C, class Allowed, class A, class B>
consteval bool fits() {
  if constexpr (requires(C & object, A & a, B & b) { Member::call(object, a, b); }) {
    return Allowed::template has<decltype(Member::call(std::declval<C&>(), std::declval<A&>(),
                                                       std::declval<B&>()))>();
  } else {
    return fits<Member, C, Allowed, A>();
  }
}

template <class Member, class C, class Allowed, class A, class B, class D>
consteval bool fits() {
  if constexpr (requires(C & object, A & a, B & b, D & d) { Member::call(object, a, b, d); }) {
    return Allowed::template has<decltype(Member::call(std::declval<C&>(), std::declval<A&>(),
                                                       std::declval<B&>(), std::declval<D&>()))>();
  } else {
    return fits<Member, C, Allowed, A, B>();
  }
}

using Plain = Returns<void, Answer>;
using Handled = Returns<Response, std::optional<Response>>;
using Gated = Returns<void, std::optional<Response>>;
using Kept = Returns<State, std::optional<State>>;

// NAME_rule: what the member NAME may look like.
#define SONICORN_DETAIL_RULE(name, ...)              \
  struct name##_rule {                               \
    using Member = name##_member;                    \
    template <class C>                               \
    static consteval bool fits() {                   \
      return detail::fits<Member, C, __VA_ARGS__>(); \
    }                                                \
    template <class C>                               \
    static consteval bool exists() {                 \
      return Member::exists<C>();                    \
    }                                                \
  }
SONICORN_DETAIL_RULE(start, Returns<void>);
SONICORN_DETAIL_RULE(load_state, Plain, const SavedState);
SONICORN_DETAIL_RULE(health, Plain, const Context);
SONICORN_DETAIL_RULE(ready, Returns<void>, const Context);
SONICORN_DETAIL_RULE(on_request, Handled, const Request);
SONICORN_DETAIL_RULE(pre_request, Gated, const Request, Exchange);
SONICORN_DETAIL_RULE(post_request, Returns<void>, const Request, const Outcome, Exchange);
SONICORN_DETAIL_RULE(on_disconnect, Returns<void>, const Request);
SONICORN_DETAIL_RULE(on_websocket_open, Plain, const Request, WebSocket);
SONICORN_DETAIL_RULE(on_websocket_message, Returns<void>, WebSocket, const WebSocketMessage);
SONICORN_DETAIL_RULE(on_websocket_close, Returns<void>, WebSocket, const WebSocketEnd);
SONICORN_DETAIL_RULE(on_event, Plain, const Event);
SONICORN_DETAIL_RULE(thread_start, Returns<void>, const Context);
SONICORN_DETAIL_RULE(thread_exit, Returns<void>, const Context);
SONICORN_DETAIL_RULE(reload, Plain, const Reload);
SONICORN_DETAIL_RULE(save_state, Kept);
SONICORN_DETAIL_RULE(drain, Returns<void, Drained>, const Drain);
SONICORN_DETAIL_RULE(shutdown, Returns<void>, const Shutdown);
SONICORN_DETAIL_RULE(describe, Returns<std::string>);
#undef SONICORN_DETAIL_RULE

}  // namespace detail

}  // namespace sonicorn
