// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sonicorn/manifest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <sonicorn/cpp/functions.hpp>
#include <string_view>
#include <type_traits>

namespace sonicorn::detail {

// In the mask of listed attributes: the list has a name that is none.
constexpr std::uint32_t kUnknownBit = 1u << 31;

#define SONICORN_DETAIL_QUOTED(name) #name,
constexpr std::string_view kNames[] = {SONICORN_ATTRIBUTES(SONICORN_DETAIL_QUOTED)};
#undef SONICORN_DETAIL_QUOTED

// The bit of an attribute in the mask of listed ones.
consteval std::uint32_t bit_of(std::string_view name) {
  std::uint32_t bit = 1;
  for (const std::string_view known : kNames) {
    if (known == name) return bit;
    bit <<= 1;
  }
  return kUnknownBit;
}

// What the list of SONICORN_APP says.
struct Listed {
  std::uint32_t names = 0;  // bits of the listed attributes
  std::uint32_t twice = 0;  // of those that are listed again

  consteval Listed operator|(std::uint32_t bit) const {
    return {names | bit, twice | (names & bit)};
  }
};

// Edits (insert, delete, replace, swap neighbours) between two names.
consteval std::size_t distance(std::string_view a, std::string_view b) {
  std::array<std::array<std::size_t, 64>, 64> edits{};
  if (a.size() > 63 || b.size() > 63) return 64;
  for (std::size_t i = 0; i <= a.size(); ++i) {
    for (std::size_t j = 0; j <= b.size(); ++j) {
      std::size_t& here = edits[i][j];
      if (i == 0 || j == 0) {
        here = i + j;
        continue;
      }
      here = std::min({edits[i - 1][j] + 1, edits[i][j - 1] + 1,
                       edits[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        here = std::min(here, edits[i - 2][j - 2] + 1);
      }
    }
  }
  return edits[a.size()][b.size()];
}

// The attribute that was probably meant, or "".
consteval std::string_view closest(std::string_view misspelt) {
  std::string_view best;
  std::size_t least = 4;
  for (const std::string_view known : kNames) {
    const std::size_t edits = distance(misspelt, known);
    if (edits < least && edits < known.size() - 1) {
      best = known;
      least = edits;
    }
  }
  return best;
}

}  // namespace sonicorn::detail

/*
 * Declares `Class` to be the app, with exactly these attributes. Once in a shared object, outside
 * of any function:
 *
 *   SONICORN_APP(Hello, on_request, shutdown)
 *
 * The object is made when the server starts the app, by Class(sonicorn::Server&) or Class(). Where
 * `shutdown` is listed it is destroyed right after that member returned, on the lifecycle thread.
 * Where it is not, a static destructor of the shared object destroys it; a destructor that joins
 * threads must not run there, so an app with threads lists shutdown. A class must be named by one
 * word: give a template an alias. It must not be final.
 */
#define SONICORN_APP(...) SONICORN_DETAIL_APP(__VA_ARGS__, )

#define SONICORN_DETAIL_APP(C, ...)                                                               \
  SONICORN_ABI_MARK;                                                                              \
  static_assert(std::is_class_v<C> && std::is_destructible_v<C>,                                  \
                "SONICORN_APP: " #C " must be a class with a public destructor");                 \
  static_assert(!std::is_final_v<C>, "SONICORN_APP: " #C                                          \
                                     " must not be final, because members of a final class "      \
                                     "cannot be checked against the list; take `final` off " #C); \
  static_assert(::sonicorn::detail::TakesServer<C> || std::is_default_constructible_v<C>,         \
                "SONICORN_APP: the server cannot make a " #C                                      \
                ", because it is abstract or has "                                                \
                "neither of these public constructors: explicit " #C                              \
                "(sonicorn::Server& server); " #C "();");                                         \
  static constexpr ::sonicorn::detail::Listed sonicorn_detail_listed =                            \
      ::sonicorn::detail::Listed() SONICORN_DETAIL_EACH(SONICORN_DETAIL_BIT, C, __VA_ARGS__);     \
  static_assert((sonicorn_detail_listed.names & ::sonicorn::detail::kUnknownBit) != 0 ||          \
                    !::sonicorn::detail::start_rule::exists<C>(),                                 \
                "SONICORN_APP: " #C                                                               \
                "::start would never be called: the constructor is what runs at start; move "     \
                "its body there, or give it another name");                                       \
  SONICORN_DETAIL_ALL(SONICORN_DETAIL_FORBID_TWICE, C)                                            \
  SONICORN_DETAIL_ALL(SONICORN_DETAIL_FORBID_UNLISTED, C)                                         \
  static ::sonicorn::detail::Slot<C, (sonicorn_detail_listed.names &                              \
                                      ::sonicorn::detail::bit_of("shutdown")) != 0>               \
      sonicorn_detail_slot;                                                                       \
  extern "C" SONICORN_EXPORT int32_t sonicorn_start(const sonicorn_context* context,              \
                                                    void** state) {                               \
    return ::sonicorn::detail::call_start<C>(context, state, sonicorn_detail_slot);               \
  }                                                                                               \
  SONICORN_DETAIL_EACH(SONICORN_DETAIL_DEFINE, C, __VA_ARGS__)

#define SONICORN_DETAIL_FORBID_TWICE(C, name)                                            \
  static_assert((sonicorn_detail_listed.twice & ::sonicorn::detail::bit_of(#name)) == 0, \
                "SONICORN_APP: '" #name "' is listed twice for " #C                      \
                "; take one of them off the list");

// Not listed: a member of that name would be dead code that looks alive.
#define SONICORN_DETAIL_FORBID_UNLISTED(C, name)                                                \
  static_assert((sonicorn_detail_listed.names &                                                 \
                 (::sonicorn::detail::bit_of(#name) | ::sonicorn::detail::kUnknownBit)) != 0 || \
                    !::sonicorn::detail::name##_rule::exists<C>(),                              \
                "SONICORN_APP: " #C " has a member '" #name                                     \
                "' that is not listed, so the server would never call it; list it: "            \
                "SONICORN_APP(" #C ", ..., " #name "), or give the member another name");

#define SONICORN_DETAIL_BIT(C, name) | ::sonicorn::detail::bit_of(#name)

// A name is looked up before any macro of that name is expanded, so that a misspelt one gives a
// sentence and not a page of parser errors.
#define SONICORN_DETAIL_DEFINE(C, name) \
  SONICORN_DETAIL_CHOOSE(SONICORN_DETAIL_KIND_##name, unknown, )(C, name)
#define SONICORN_DETAIL_CHOOSE(...) SONICORN_DETAIL_CHOOSE_SECOND(__VA_ARGS__)
#define SONICORN_DETAIL_CHOOSE_SECOND(ignored, kind, ...) SONICORN_DETAIL_DEFINE_AS_##kind

#define SONICORN_DETAIL_DEFINE_AS_attribute(C, name) SONICORN_DETAIL_DEFINE_##name(C)
#define SONICORN_DETAIL_DEFINE_AS_constructor(C, name)                                           \
  static_assert(!std::is_class_v<C>, "SONICORN_APP: do not list 'start': the constructor of " #C \
                                     " is what runs at start, and it always does");
#define SONICORN_DETAIL_DEFINE_AS_unknown(C, name)        \
  SONICORN_DETAIL_ALL(SONICORN_DETAIL_SUGGEST, name)      \
  static_assert(::sonicorn::detail::closest(#name) != "", \
                "SONICORN_APP: '" #name                   \
                "' is not an attribute; the attributes are:" SONICORN_DETAIL_ATTRIBUTE_NAMES);
#define SONICORN_DETAIL_SUGGEST(misspelt, name)                                           \
  static_assert(::sonicorn::detail::closest(#misspelt) != #name,                          \
                "SONICORN_APP: '" #misspelt "' is not an attribute; did you mean '" #name \
                "'? The attributes are:" SONICORN_DETAIL_ATTRIBUTE_NAMES);

#define SONICORN_DETAIL_NAME(name) " " #name
#define SONICORN_DETAIL_ATTRIBUTE_NAMES SONICORN_ATTRIBUTES(SONICORN_DETAIL_NAME)

#define SONICORN_DETAIL_KIND_start ~, constructor
#define SONICORN_DETAIL_KIND_load_state ~, attribute
#define SONICORN_DETAIL_KIND_health ~, attribute
#define SONICORN_DETAIL_KIND_ready ~, attribute
#define SONICORN_DETAIL_KIND_on_request ~, attribute
#define SONICORN_DETAIL_KIND_pre_request ~, attribute
#define SONICORN_DETAIL_KIND_post_request ~, attribute
#define SONICORN_DETAIL_KIND_on_disconnect ~, attribute
#define SONICORN_DETAIL_KIND_on_websocket_open ~, attribute
#define SONICORN_DETAIL_KIND_on_websocket_message ~, attribute
#define SONICORN_DETAIL_KIND_on_websocket_close ~, attribute
#define SONICORN_DETAIL_KIND_on_event ~, attribute
#define SONICORN_DETAIL_KIND_thread_start ~, attribute
#define SONICORN_DETAIL_KIND_thread_exit ~, attribute
#define SONICORN_DETAIL_KIND_reload ~, attribute
#define SONICORN_DETAIL_KIND_save_state ~, attribute
#define SONICORN_DETAIL_KIND_drain ~, attribute
#define SONICORN_DETAIL_KIND_shutdown ~, attribute
#define SONICORN_DETAIL_KIND_describe ~, attribute

// X(a, name) for each attribute but start.
#define SONICORN_DETAIL_ALL(X, a) \
  X(a, load_state)                \
  X(a, health)                    \
  X(a, ready)                     \
  X(a, on_request)                \
  X(a, pre_request)               \
  X(a, post_request)              \
  X(a, on_disconnect)             \
  X(a, on_websocket_open)         \
  X(a, on_websocket_message)      \
  X(a, on_websocket_close)        \
  X(a, on_event)                  \
  X(a, thread_start)              \
  X(a, thread_exit)               \
  X(a, reload)                    \
  X(a, save_state)                \
  X(a, drain)                     \
  X(a, shutdown)                  \
  X(a, describe)

namespace sonicorn::detail {

#define SONICORN_DETAIL_COUNT(a, name) +1
static_assert(1 SONICORN_DETAIL_ALL(SONICORN_DETAIL_COUNT, ) == std::size(kNames),
              "SONICORN_DETAIL_ALL and SONICORN_ATTRIBUTES list different attributes");
#undef SONICORN_DETAIL_COUNT

}  // namespace sonicorn::detail

// X(C, name) for each of the names, after which comes an empty argument. A macro cannot call
// itself: each step leaves the next one to be found when the text is scanned again.
#define SONICORN_DETAIL_EACH(X, C, ...) \
  __VA_OPT__(SONICORN_DETAIL_SCAN(SONICORN_DETAIL_EACH_STEP(X, C, __VA_ARGS__)))
#define SONICORN_DETAIL_EACH_STEP(X, C, name, ...) \
  X(C, name) __VA_OPT__(SONICORN_DETAIL_EACH_NEXT SONICORN_DETAIL_PARENTHESES(X, C, __VA_ARGS__))
#define SONICORN_DETAIL_EACH_NEXT() SONICORN_DETAIL_EACH_STEP
#define SONICORN_DETAIL_PARENTHESES ()

// Scans its text often enough for every attribute twice.
#define SONICORN_DETAIL_SCAN(...) SONICORN_DETAIL_SCAN3(SONICORN_DETAIL_SCAN3(__VA_ARGS__))
#define SONICORN_DETAIL_SCAN3(...) SONICORN_DETAIL_SCAN2(SONICORN_DETAIL_SCAN2(__VA_ARGS__))
#define SONICORN_DETAIL_SCAN2(...) SONICORN_DETAIL_SCAN1(SONICORN_DETAIL_SCAN1(__VA_ARGS__))
#define SONICORN_DETAIL_SCAN1(...) SONICORN_DETAIL_SCAN0(SONICORN_DETAIL_SCAN0(__VA_ARGS__))
#define SONICORN_DETAIL_SCAN0(...) __VA_ARGS__
