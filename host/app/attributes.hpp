#pragma once

#include <sonicorn/attributes.h>

#include <bitset>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

// What an app may export, as the one list of the SDK (SONICORN_ATTRIBUTES) has it.
namespace sonicorn::app {

enum class Attribute : std::uint8_t {
#define X(name) name,
  SONICORN_ATTRIBUTES(X)
#undef X
};

inline constexpr std::string_view kAttributeNames[] = {
#define X(name) #name,
    SONICORN_ATTRIBUTES(X)
#undef X
};

inline constexpr std::size_t kAttributeCount = std::size(kAttributeNames);

// What precedes an attribute's name in the symbol that an app exports.
inline constexpr std::string_view kSymbolPrefix = "sonicorn_";

constexpr std::string_view name_of(Attribute attribute) {
  return kAttributeNames[static_cast<std::size_t>(attribute)];
}

constexpr std::optional<Attribute> attribute_from(std::string_view name) {
  for (std::size_t i = 0; i < kAttributeCount; ++i) {
    if (kAttributeNames[i] == name) return static_cast<Attribute>(i);
  }
  return std::nullopt;
}

// The attributes that one app declares.
class AttributeSet {
 public:
  void add(Attribute attribute) { bits_.set(static_cast<std::size_t>(attribute)); }
  bool has(Attribute attribute) const { return bits_.test(static_cast<std::size_t>(attribute)); }
  std::size_t size() const { return bits_.count(); }
  bool operator==(const AttributeSet&) const = default;

 private:
  std::bitset<kAttributeCount> bits_;
};

// The resolved functions of one loaded app; null where it declares none.
struct AttributeTable {
#define X(name) decltype(&sonicorn_##name) name = nullptr;
  SONICORN_ATTRIBUTES(X)
#undef X
};

}  // namespace sonicorn::app
