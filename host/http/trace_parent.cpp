#include "http/trace_parent.hpp"

#include <algorithm>
#include <random>

namespace sonicorn::http {
namespace {

constexpr std::string_view kVersion = "00-";
constexpr std::size_t kTraceIdSize = 32;
constexpr std::size_t kParentIdSize = 16;
constexpr std::size_t kFlagsSize = 2;
static_assert(kVersion.size() + kTraceIdSize + 1 + kParentIdSize + 1 + kFlagsSize ==
              kTraceParentSize);

bool is_hex(std::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool is_id(std::string_view text) {
  return is_hex(text) && text.find_first_not_of('0') != std::string_view::npos;
}

char* put_hex(char* at, std::uint64_t number) {
  for (int shift = 60; shift >= 0; shift -= 4) {
    *at++ = "0123456789abcdef"[(number >> static_cast<unsigned>(shift)) & 15U];
  }
  return at;
}

std::uint64_t random_number() {
  std::random_device device;
  return (std::uint64_t{device()} << 32U) | device();
}

}  // namespace

std::string_view trace_id_of(std::string_view trace_parent) {
  if (trace_parent.size() < kTraceParentSize) return {};
  // A later version begins like this one, and may go on behind another "-".
  const std::string_view version = trace_parent.substr(0, 2);
  const bool is_known = version == "00" ? trace_parent.size() == kTraceParentSize
                                        : is_hex(version) && version != "ff" &&
                                              (trace_parent.size() == kTraceParentSize ||
                                               trace_parent[kTraceParentSize] == '-');
  if (!is_known || trace_parent[2] != '-') return {};
  const std::string_view trace_id = trace_parent.substr(kVersion.size(), kTraceIdSize);
  const std::string_view rest = trace_parent.substr(
      kVersion.size() + kTraceIdSize, kTraceParentSize - kVersion.size() - kTraceIdSize);
  const std::string_view flags = rest.substr(rest.size() - kFlagsSize);
  const bool valid = is_id(trace_id) && rest.front() == '-' &&
                     is_id(rest.substr(1, kParentIdSize)) && rest[1 + kParentIdSize] == '-' &&
                     is_hex(flags);
  return valid ? trace_id : std::string_view();
}

TraceParents::TraceParents() : state_(random_number()), step_(random_number() | 1U) {}

// SplitMix64, with a step of its own for each of those who count.
std::uint64_t TraceParents::next() {
  state_ += step_;
  std::uint64_t mixed = state_;
  mixed = (mixed ^ (mixed >> 30U)) * 0xbf58476d1ce4e5b9ULL;
  mixed = (mixed ^ (mixed >> 27U)) * 0x94d049bb133111ebULL;
  mixed ^= mixed >> 31U;
  return mixed != 0 ? mixed : 1;
}

TraceParents::Value TraceParents::make() {
  Value value;  // NOLINT(cppcoreguidelines-pro-type-member-init): all of it is written
  char* at = std::copy(kVersion.begin(), kVersion.end(), value.data());
  at = put_hex(put_hex(at, next()), next());
  *at++ = '-';
  at = put_hex(at, next());
  constexpr std::string_view kNoFlags = "-00";
  std::copy(kNoFlags.begin(), kNoFlags.end(), at);
  return value;
}

}  // namespace sonicorn::http
