#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

// The traceparent field of W3C Trace Context, version 00: "00-TRACE_ID-PARENT_ID-FLAGS", of which
// the trace-id names a request wherever it goes.
namespace sonicorn::http {

inline constexpr std::string_view kTraceParent = "traceparent";
inline constexpr std::size_t kTraceParentSize = 55;

// The trace-id, 32 lower-case digits, in the value of a field; empty when the value is not valid:
// another version or length, capitals, an id that is all zero.
std::string_view trace_id_of(std::string_view trace_parent);

// Makes values for requests that came without one. Not thread-safe; what two of them make differs.
class TraceParents {
 public:
  using Value = std::array<char, kTraceParentSize>;

  TraceParents();

  // A valid one, with new ids and no flags.
  Value make();

 private:
  std::uint64_t next();

  std::uint64_t state_;
  std::uint64_t step_;
};

}  // namespace sonicorn::http
