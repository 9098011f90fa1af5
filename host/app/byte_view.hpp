#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string_view>
#include <type_traits>

// Reading from bytes that nobody vouches for: every offset and size may be anything.
namespace sonicorn::app {

// The bytes [offset, offset + size), or nothing when they do not all exist.
inline std::optional<std::string_view> slice(std::string_view bytes, std::uint64_t offset,
                                             std::uint64_t size) {
  if (offset > bytes.size() || size > bytes.size() - offset) return std::nullopt;
  return bytes.substr(offset, size);
}

// The T whose bytes begin at `offset`, of any alignment and in the host's byte order.
template <class T>
std::optional<T> read_at(std::string_view bytes, std::uint64_t offset) {
  static_assert(std::is_trivially_copyable_v<T>);
  const auto view = slice(bytes, offset, sizeof(T));
  if (!view) return std::nullopt;
  T value;
  std::memcpy(&value, view->data(), sizeof(T));
  return value;
}

}  // namespace sonicorn::app
