// Feeds the engine the same bytes whole and cut into pieces, and aborts when it makes different
// things of them: every limit of framing is then a place where a smuggled request would hide.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "http/engine.hpp"

namespace {

using sonicorn::http::Engine;

std::string verdicts(std::string_view bytes, std::size_t piece) {
  sonicorn::config::Limits limits;
  limits.request_line = 64;
  limits.field = 48;
  limits.fields = 8;
  limits.head = 200;
  Engine engine(limits);
  sonicorn::http::Request request;
  std::string input;
  std::string out;
  for (std::size_t at = 0; at < bytes.size(); at += piece) {
    input += bytes.substr(at, piece);
    for (;;) {
      std::size_t used = 0;
      std::size_t body = 0;
      Engine::Step step = engine.receive(input, used, request);
      if (step == Engine::Step::head) {
        step = engine.accept_body(100, std::string_view(input).substr(used), body, request);
      }
      used += body;
      if (step == Engine::Step::refused) {
        return out + engine.refusal().id.data();
      }
      if (step == Engine::Step::request) {
        out.append(request.method).append(" ").append(request.path).append("?");
        out.append(request.query).append(" ").append(request.body).append("\n");
      }
      input.erase(0, used);
      if (step == Engine::Step::more || input.empty()) break;
    }
  }
  return out;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0 || size > 4096) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::string whole = verdicts(bytes, size);
  for (const std::size_t piece : {std::size_t{1}, std::size_t{2}, std::size_t{7}}) {
    const std::string cut = verdicts(bytes, piece);
    if (cut == whole) continue;
    std::fprintf(stderr, "pieces of %zu differ:\n%s\n-- whole:\n%s\n", piece, cut.c_str(),
                 whole.c_str());
    std::abort();
  }
  return 0;
}
