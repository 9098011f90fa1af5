// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sonicorn/attributes.h>

#include <sonicorn/cpp/glue.hpp>
#include <utility>

namespace sonicorn::testing {

// The attributes of one app as functions; null: it has not got that one.
struct Functions {
#define SONICORN_TESTING_FUNCTION(name) decltype(&sonicorn_##name) name = nullptr;
  SONICORN_ATTRIBUTES(SONICORN_TESTING_FUNCTION)
#undef SONICORN_TESTING_FUNCTION

  // Destroys what start made and shutdown, which the app has not got, did not; may be null.
  void (*destroy)() = nullptr;
};

namespace detail {

// Where the one object of a class is that runs under a host.
template <class C>
inline sonicorn::detail::Slot<C, true> slot_of;

// The functions that SONICORN_APP(C, ...) would define with every attribute that C has on its list.
template <class C>
Functions functions_of() {
  namespace glue = sonicorn::detail;
  static_assert(!std::is_final_v<C>, "Host::link<C>(): C must not be final");
  static_assert(glue::TakesServer<C> || std::is_default_constructible_v<C>,
                "Host::link<C>(): C needs a public constructor C(sonicorn::Server&) or C()");
  Functions found;
  found.start = [](const sonicorn_context* context, void** state) {
    return glue::call_start<C>(context, state, slot_of<C>);
  };

#define SONICORN_TESTING_TAKE(name, ...)                                                           \
  static_assert(!glue::name##_rule::template exists<C>() || glue::name##_rule::template fits<C>(), \
                "Host::link<C>(): C::" #name                                                       \
                " cannot be called as the attribute is; SONICORN_APP says how it must look");      \
  if constexpr (glue::name##_rule::template fits<C>()) found.name = __VA_ARGS__

  SONICORN_TESTING_TAKE(load_state, &glue::call_load_state<C>);
  SONICORN_TESTING_TAKE(health, (&glue::call_with_context<C, glue::health_rule, Context>));
  SONICORN_TESTING_TAKE(ready, (&glue::call_with_context<C, glue::ready_rule, Context>));
  SONICORN_TESTING_TAKE(on_request, &glue::call_on_request<C>);
  SONICORN_TESTING_TAKE(pre_request, &glue::call_pre_request<C>);
  SONICORN_TESTING_TAKE(post_request, &glue::call_post_request<C>);
  SONICORN_TESTING_TAKE(on_disconnect, &glue::call_on_disconnect<C>);
  SONICORN_TESTING_TAKE(on_event,
                        (&glue::call_with_context<C, glue::on_event_rule, sonicorn::Event>));
  SONICORN_TESTING_TAKE(thread_start,
                        (&glue::call_with_context<C, glue::thread_start_rule, Context>));
  SONICORN_TESTING_TAKE(thread_exit,
                        (&glue::call_with_context<C, glue::thread_exit_rule, Context>));
  SONICORN_TESTING_TAKE(reload, &glue::call_reload<C>);
  SONICORN_TESTING_TAKE(save_state, &glue::call_save_state<C>);
  SONICORN_TESTING_TAKE(drain, (&glue::call_with_context<C, glue::drain_rule, Drain>));
  SONICORN_TESTING_TAKE(shutdown, [](const sonicorn_context* context, void* state) {
    return glue::call_shutdown<C>(context, state, slot_of<C>);
  });
  SONICORN_TESTING_TAKE(describe, &glue::call_describe<C>);
#undef SONICORN_TESTING_TAKE

  if (found.shutdown == nullptr) {
    found.destroy = [] { delete std::exchange(slot_of<C>.cell, nullptr); };
  }
  return found;
}

}  // namespace detail

}  // namespace sonicorn::testing
