#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "config/config.hpp"
#include "http/request.hpp"
#include "http/status.hpp"

namespace sonicorn::http {

// What became of an attempt to parse a head.
struct HeadParse {
  enum class Outcome : std::uint8_t {
    complete,    // `size` bytes of input are the head
    incomplete,  // its end is not there yet
    refused,     // see `refusal`
  };
  Outcome outcome;
  std::size_t size = 0;
  const Refusal* refusal = nullptr;
};

// Parses the head that `input` begins with (request line, fields, empty line) into `request`, whose
// views then point into `input`, and judges it: RFC 9112 3, 5, 6.1-6.3 and 7.1 without the
// leniencies that make smuggling possible. A complete head keeps within the limits. Any other
// outcome is that of the first place that looked wrong here; what to answer, and whether more bytes
// could mend it, is for HeadScanner to say first.
HeadParse parse_head(std::string_view input, const config::Limits& limits, Request& request);

}  // namespace sonicorn::http
