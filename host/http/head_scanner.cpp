#include "http/head_scanner.hpp"

#include <cstring>

namespace sonicorn::http {

HeadScanner::Outcome HeadScanner::refuse(const Refusal& why) {
  refusal_ = &why;
  return Outcome::refused;
}

// Of two limits that are broken by the time `end` is reached, the one whose byte came first
// decides.
HeadScanner::Outcome HeadScanner::refuse_length(std::size_t line_breaks_at,
                                                std::size_t head_breaks_at) {
  if (lines_ == 0 && line_breaks_at <= head_breaks_at) return refuse(refusals::kTargetTooLong);
  return refuse(refusals::kHeadTooLarge);
}

HeadScanner::Outcome HeadScanner::scan(std::string_view input, const config::Limits& limits) {
  const char* const begin = input.data();
  for (;;) {
    const auto* newline =
        static_cast<const char*>(std::memchr(begin + scanned_, '\n', input.size() - scanned_));
    // What is known of this line: it ends at `end`, or is at least that long. It may have its limit
    // and a CR before its LF.
    const std::size_t end =
        newline != nullptr ? static_cast<std::size_t>(newline - begin) : input.size();
    const std::size_t seen = newline != nullptr ? end + 1 : end;
    const std::size_t line_breaks_at =
        line_ + (lines_ == 0 ? limits.request_line : limits.field) + 1;
    if (end > line_breaks_at) {
      return refuse_length(line_breaks_at, seen > limits.head ? limits.head : seen);
    }
    if (seen > limits.head) return refuse(refusals::kHeadTooLarge);

    if (newline == nullptr) {
      scanned_ = static_cast<std::uint32_t>(end);
      return Outcome::more;
    }
    if (end == line_ || newline[-1] != '\r') return refuse(refusals::kBadLineEnding);
    const bool empty_line = end == line_ + 1;
    const std::uint32_t first = line_;
    line_ = scanned_ = static_cast<std::uint32_t>(end + 1);
    if (empty_line) {
      if (lines_ > 0) return Outcome::complete;
      if (start_ != 0) return refuse(refusals::kBadRequestLine);
      start_ = line_;
      continue;
    }
    if (lines_ > 0) {
      if (lines_ > limits.fields) return refuse(refusals::kHeadTooLarge);
      // RFC 9112 5.2: a folded line is not accepted in any position.
      if (begin[first] == ' ' || begin[first] == '\t') return refuse(refusals::kBadField);
    }
    ++lines_;
  }
}

}  // namespace sonicorn::http
