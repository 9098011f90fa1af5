#pragma once

#include <cstdint>
#include <string_view>

#include "http/request.hpp"
#include "http/status.hpp"

namespace sonicorn::http {

// Decodes a chunked body (RFC 9112 7.1) that arrives in pieces, strictly: at most 16 hexadecimal
// digits, nothing between them and the line end but extensions, no bare CR or LF, extensions and
// trailers bounded in total; trailers are checked and dropped. Looks at each byte once, so no
// verdict depends on the cuts. A value of a few words, one per body.
class ChunkDecoder {
 public:
  enum class Outcome : std::uint8_t { more, complete, refused };

  // Appends the decoded part of `input` to `body`, which may hold at most `limit` bytes; `consumed`
  // is how much of `input` was used, all of it unless the body is complete.
  Outcome decode(std::string_view input, std::size_t& consumed, ByteBuffer& body,
                 std::uint64_t limit);

  const Refusal& refusal() const { return *refusal_; }

 private:
  enum class State : std::uint8_t {
    size,
    extension,
    quoted,
    quoted_pair,
    size_lf,
    data,
    data_cr,
    data_lf,
    trailer_start,
    trailer_name,
    trailer_value,
    trailer_lf,
    last_lf,
  };

  bool step(char c, std::uint64_t body_size, std::uint64_t limit);
  bool step_size(char c);
  bool step_extension(char c);
  bool step_trailer(char c);
  bool refuse(const Refusal& why);
  bool overhead();

  State state_ = State::size;
  bool done_ = false;
  bool extension_open_ = false;  // after ';' and before its name
  std::uint8_t digits_ = 0;
  std::uint32_t overhead_ = 0;  // bytes of extensions and trailers
  std::uint64_t left_ = 0;      // of the current chunk
  const Refusal* refusal_ = nullptr;
};

}  // namespace sonicorn::http
