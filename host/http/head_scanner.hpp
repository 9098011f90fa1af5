#pragma once

#include <cstdint>
#include <string_view>

#include "config/config.hpp"
#include "http/status.hpp"

namespace sonicorn::http {

// Finds the end of a request's head in bytes that arrive in pieces, and holds it to the limits.
// Each byte is looked at once however the pieces are cut, and the verdict is that of the first byte
// that breaks a rule, so it does not depend on the cuts. A value of a few words, one per
// connection.
class HeadScanner {
 public:
  enum class Outcome : std::uint8_t { more, complete, refused };

  // `input` has grown at its end since the last call. On complete, the head is input[start(),
  // end()), with its empty line; on refused, refusal() says why, and end() is that of the last line
  // that was whole. One empty line before the head is
  // skipped (RFC 9112 2.2).
  Outcome scan(std::string_view input, const config::Limits& limits);

  std::size_t start() const { return start_; }
  std::size_t end() const { return line_; }
  const Refusal& refusal() const { return *refusal_; }

  // Whether bytes of a head were seen: a connection with none is idle.
  bool started() const { return scanned_ != 0; }
  void reset() { *this = HeadScanner(); }

 private:
  Outcome refuse(const Refusal& why);
  Outcome refuse_length(std::size_t line_breaks_at, std::size_t head_breaks_at);

  std::uint32_t scanned_ = 0;  // no line end before here, but the ones that were handled
  std::uint32_t line_ = 0;     // where the current line begins
  std::uint32_t lines_ = 0;    // complete lines of the head
  std::uint32_t start_ = 0;    // where the head begins
  const Refusal* refusal_ = nullptr;
};

}  // namespace sonicorn::http
