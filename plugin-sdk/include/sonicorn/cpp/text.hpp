// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sonicorn/abi.h>

#include <concepts>
#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace sonicorn {

namespace detail {

constexpr std::string_view view_of(sonicorn_string text) { return {text.data, text.size}; }

constexpr sonicorn_string string_of(std::string_view text) { return {text.data(), text.size()}; }

}  // namespace detail

// How a function of this layer takes text that an answer will carry: a literal is borrowed, an
// rvalue std::string is moved, everything else is copied. Only ever a parameter: it refers to its
// argument, so never keep one.
class Text {
 public:
  enum class Kind : unsigned char { literal, moved, copied };

  // A string literal, or a static constexpr array. An array on the stack does not compile here,
  // because the answer outlives it: pass a std::string.
  template <std::size_t N>
  consteval Text(const char (&literal)[N]) : view_(literal, N - 1) {}

  // An array that can change ends at its first zero byte.
  template <std::size_t N>
  Text(char (&buffer)[N]) : view_(buffer), kind_(Kind::copied) {}

  // A pointer to text that ends in a zero byte.
  template <class Pointer>
  requires std::same_as<Pointer, const char*> || std::same_as<Pointer, char*> Text(
      const Pointer& text)
      : view_(text), kind_(Kind::copied) {}

  Text(std::string_view text) : view_(text), kind_(Kind::copied) {}
  Text(const std::string& text) : view_(text), kind_(Kind::copied) {}
  Text(std::string&& text) : view_(text), source_(&text), kind_(Kind::moved) {}

  Kind kind() const { return kind_; }
  std::string_view view() const { return view_; }

  // The text as a string of its own; call it once.
  std::string take() const {
    return kind_ == Kind::moved ? std::move(*source_) : std::string(view_);
  }

 private:
  std::string_view view_;
  std::string* source_ = nullptr;
  Kind kind_ = Kind::literal;
};

}  // namespace sonicorn
