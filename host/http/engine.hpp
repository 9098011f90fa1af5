#pragma once

#include <cstdint>
#include <string_view>

#include "config/config.hpp"
#include "http/chunk_decoder.hpp"
#include "http/head_scanner.hpp"
#include "http/request.hpp"
#include "http/status.hpp"

namespace sonicorn::http {

// The receiving half of one HTTP/1.1 connection: bytes in, requests out. It knows no socket, no
// clock and no app, and what it makes of a sequence of bytes does not depend on how they are cut
// into pieces. Not thread-safe. After a refusal nothing more is read from the connection.
class Engine {
 public:
  enum class Step : std::uint8_t {
    more,     // nothing to do until there are more bytes
    head,     // a head was read: accept_body() goes on
    request,  // `request` is whole; the next receive() begins another
    refused,  // see refusal(); of a refused head, `request` is what the answer needs to know
  };

  // `limits` outlives the engine.
  explicit Engine(const config::Limits& limits) : limits_(&limits) {}

  // Reads on. `input` is what was not consumed so far, with newer bytes at its end; `consumed` is
  // how many of them are used up. `request` is the same object until it is whole; its views may
  // point into `input`, until more is returned: what is kept beyond that is copied.
  Step receive(std::string_view input, std::size_t& consumed, Request& request);

  // After head: reads the body, of at most `limit` bytes. `input` follows the head.
  Step accept_body(std::uint64_t limit, std::string_view input, std::size_t& consumed,
                   Request& request);

  // Whether the client waits for "100 Continue" before it sends the body; true once per request.
  bool take_continue();

  // How many bytes of a body of known length are still to come; 0 in every other state. They may be
  // appended to request.body_storage by others, who then call receive() with no input.
  std::uint64_t body_left(const Request& request) const;

  // Whether part of a request was seen.
  bool in_head() const { return phase_ == Phase::head && scanner_.started(); }
  bool in_body() const { return phase_ == Phase::sized || phase_ == Phase::chunked; }

  const Refusal& refusal() const { return *refusal_; }

 private:
  enum class Phase : std::uint8_t { head, sized, chunked };

  Step receive_head(std::string_view input, std::size_t& consumed, Request& request);
  Step scan_head(std::string_view input, std::size_t& consumed, Request& request);
  Step receive_chunks(std::string_view input, std::size_t& consumed, Request& request);
  Step refuse(const Refusal& why);
  Step complete(std::string_view body, Request& request);

  const config::Limits* limits_;
  const Refusal* refusal_ = nullptr;
  HeadScanner scanner_;
  ChunkDecoder chunks_;
  std::uint64_t body_limit_ = 0;
  Phase phase_ = Phase::head;
  bool wants_continue_ = false;
};

}  // namespace sonicorn::http
