#include "http/chunk_decoder.hpp"

#include <algorithm>

#include "core/text.hpp"
#include "http/characters.hpp"

namespace sonicorn::http {
namespace {

constexpr std::uint32_t kMaxOverhead = 16 * 1024;
constexpr std::uint8_t kMaxDigits = 16;

}  // namespace

bool ChunkDecoder::refuse(const Refusal& why) {
  refusal_ = &why;
  return false;
}

bool ChunkDecoder::overhead() {
  return ++overhead_ <= kMaxOverhead || refuse(refusals::kHeadTooLarge);
}

ChunkDecoder::Outcome ChunkDecoder::decode(std::string_view input, std::size_t& consumed,
                                           ByteBuffer& body, std::uint64_t limit) {
  consumed = 0;
  while (consumed < input.size() && !done_) {
    if (state_ == State::data) {
      const std::size_t count =
          static_cast<std::size_t>(std::min<std::uint64_t>(left_, input.size() - consumed));
      body.append(input.substr(consumed, count));
      consumed += count;
      left_ -= count;
      if (left_ == 0) state_ = State::data_cr;
      continue;
    }
    if (!step(input[consumed], body.size(), limit)) return Outcome::refused;
    ++consumed;
  }
  return done_ ? Outcome::complete : Outcome::more;
}

bool ChunkDecoder::step(char c, std::uint64_t body_size, std::uint64_t limit) {
  switch (state_) {
    case State::size:
      return step_size(c);
    case State::extension:
    case State::quoted:
    case State::quoted_pair:
      return overhead() && step_extension(c);
    case State::size_lf:
      if (c != '\n') return refuse(refusals::kBadChunk);
      if (left_ > limit - std::min(limit, body_size)) return refuse(refusals::kBodyTooLarge);
      state_ = left_ == 0 ? State::trailer_start : State::data;
      digits_ = 0;
      return true;
    case State::data:
      return true;
    case State::data_cr:
      state_ = State::data_lf;
      return c == '\r' || refuse(refusals::kBadChunk);
    case State::data_lf:
      state_ = State::size;
      return c == '\n' || refuse(refusals::kBadChunk);
    case State::trailer_start:
    case State::trailer_name:
    case State::trailer_value:
      return overhead() && step_trailer(c);
    case State::trailer_lf:
      state_ = State::trailer_start;
      return c == '\n' || refuse(refusals::kBadChunk);
    case State::last_lf:
      done_ = true;
      return c == '\n' || refuse(refusals::kBadChunk);
  }
  return refuse(refusals::kBadChunk);
}

bool ChunkDecoder::step_size(char c) {
  if (const int digit = core::hex_value(c); digit >= 0) {
    if (++digits_ > kMaxDigits) return refuse(refusals::kBadChunk);
    left_ = (left_ << 4) | static_cast<std::uint64_t>(digit);
    return true;
  }
  if (digits_ == 0) return refuse(refusals::kBadChunk);
  if (c == '\r') {
    state_ = State::size_lf;
    return true;
  }
  if (c != ';') return refuse(refusals::kBadChunk);
  state_ = State::extension;
  extension_open_ = true;
  return true;
}

// chunk-ext = *( ";" name [ "=" ( token / quoted-string ) ] ): held to its bytes, not to its
// grammar in full, for nothing here reads what it says.
bool ChunkDecoder::step_extension(char c) {
  if (state_ == State::quoted_pair) {
    state_ = State::quoted;
    return !is_control(c) || refuse(refusals::kBadChunk);
  }
  if (state_ == State::quoted) {
    if (c == '"') state_ = State::extension;
    if (c == '\\') state_ = State::quoted_pair;
    return !is_control(c) || refuse(refusals::kBadChunk);
  }
  if (extension_open_ && !is_token_char(c)) return refuse(refusals::kBadChunk);
  extension_open_ = c == ';';
  if (c == '\r') {
    state_ = State::size_lf;
    return true;
  }
  if (c == '"') {
    state_ = State::quoted;
    return true;
  }
  return is_token_char(c) || c == '=' || c == ';' || refuse(refusals::kBadChunk);
}

bool ChunkDecoder::step_trailer(char c) {
  if (state_ == State::trailer_start) {
    if (c == '\r') {
      state_ = State::last_lf;
      return true;
    }
    state_ = State::trailer_name;
    return is_token_char(c) || refuse(refusals::kBadChunk);
  }
  if (state_ == State::trailer_name) {
    if (c == ':') state_ = State::trailer_value;
    return c == ':' || is_token_char(c) || refuse(refusals::kBadChunk);
  }
  if (c == '\r') {
    state_ = State::trailer_lf;
    return true;
  }
  return !is_control(c) || refuse(refusals::kBadChunk);
}

}  // namespace sonicorn::http
