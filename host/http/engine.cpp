#include "http/engine.hpp"

#include <algorithm>

#include "http/head_parser.hpp"
#include "http/refused_head.hpp"

namespace sonicorn::http {

Engine::Step Engine::refuse(const Refusal& why) {
  refusal_ = &why;
  return Step::refused;
}

Engine::Step Engine::complete(std::string_view body, Request& request) {
  phase_ = Phase::head;
  wants_continue_ = false;
  request.body = body;
  return Step::request;
}

Engine::Step Engine::receive(std::string_view input, std::size_t& consumed, Request& request) {
  consumed = 0;
  if (phase_ == Phase::head) return receive_head(input, consumed, request);
  if (phase_ == Phase::chunked) return receive_chunks(input, consumed, request);
  consumed = static_cast<std::size_t>(std::min<std::uint64_t>(input.size(), body_left(request)));
  request.body_storage.append(input.substr(0, consumed));
  return body_left(request) == 0 ? complete(request.body_storage.view(), request) : Step::more;
}

Engine::Step Engine::receive_head(std::string_view input, std::size_t& consumed, Request& request) {
  if (input.empty()) return Step::more;
  // Nearly every head comes whole and is right, and then one pass is enough. Only what comes in
  // pieces or is wrong goes the long way, on which the order of the bytes decides the verdict.
  if (!scanner_.started()) {
    request.reset();
    const HeadParse parse = parse_head(input, *limits_, request);
    if (parse.outcome == HeadParse::Outcome::complete) {
      consumed = parse.size;
      return Step::head;
    }
  }
  return scan_head(input, consumed, request);
}

Engine::Step Engine::scan_head(std::string_view input, std::size_t& consumed, Request& request) {
  const HeadScanner::Outcome outcome = scanner_.scan(input, *limits_);
  if (outcome == HeadScanner::Outcome::more) return Step::more;
  if (outcome == HeadScanner::Outcome::refused) {
    read_refused_head(input.substr(0, scanner_.end()), request);
    // Also where the line is so long that its end is not looked for.
    request.head = input;
    return refuse(scanner_.refusal());
  }
  request.reset();
  consumed = scanner_.end();
  const std::string_view head = input.substr(scanner_.start(), consumed - scanner_.start());
  scanner_.reset();
  const HeadParse parse = parse_head(head, *limits_, request);
  if (parse.outcome == HeadParse::Outcome::complete) return Step::head;
  read_refused_head(head, request);
  return refuse(parse.refusal != nullptr ? *parse.refusal : refusals::kBadRequest);
}

Engine::Step Engine::accept_body(std::uint64_t limit, std::string_view input, std::size_t& consumed,
                                 Request& request) {
  consumed = 0;
  if (!request.chunked) {
    const std::uint64_t length = request.content_length.value_or(0);
    if (length > limit) return refuse(refusals::kBodyTooLarge);
    if (length <= input.size()) {
      consumed = static_cast<std::size_t>(length);
      return complete({input.data(), consumed}, request);
    }
    phase_ = Phase::sized;
  } else {
    phase_ = Phase::chunked;
    body_limit_ = limit;
    chunks_ = ChunkDecoder();
  }
  wants_continue_ = request.expects_continue;
  const Step step = receive(input, consumed, request);
  if (step == Step::more) request.own_head();
  return step;
}

Engine::Step Engine::receive_chunks(std::string_view input, std::size_t& consumed,
                                    Request& request) {
  switch (chunks_.decode(input, consumed, request.body_storage, body_limit_)) {
    case ChunkDecoder::Outcome::more:
      return Step::more;
    case ChunkDecoder::Outcome::refused:
      return refuse(chunks_.refusal());
    case ChunkDecoder::Outcome::complete:
      break;
  }
  return complete(request.body_storage.view(), request);
}

bool Engine::take_continue() { return std::exchange(wants_continue_, false); }

std::uint64_t Engine::body_left(const Request& request) const {
  if (phase_ != Phase::sized) return 0;
  return request.content_length.value_or(0) - request.body_storage.size();
}

}  // namespace sonicorn::http
