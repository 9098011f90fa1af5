// Takes the bytes for all that a client may put into the access log, and aborts when a line is more
// than a line, when its JSON is none, or when a request's id is not what it looks like.
#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "http/access_line.hpp"
#include "http/trace_parent.hpp"

namespace {

using sonicorn::config::AccessLogFormat;

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

// How many quotes of a line are not escaped.
std::size_t bare_quotes(std::string_view line) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < line.size(); ++i) {
    if (line[i] == '\\') {
      ++i;
    } else if (line[i] == '"') {
      ++count;
    }
  }
  return count;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 4096) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const std::string_view id = sonicorn::http::trace_id_of(text);
  require(id.empty() || (id.size() == 32 && text.size() == 55 &&
                         id.find_first_not_of("0123456789abcdef") == std::string_view::npos),
          "an id that is none");
  const auto field = [&](std::string_view name) {
    return sonicorn_field{{name.data(), name.size()}, {text.data(), text.size()}};
  };
  sonicorn::http::Request refused;
  refused.head = text;
  sonicorn::http::Request served;
  served.method = "GET";
  served.target = text;
  served.fields = {field("referer"), field("user-agent")};
  for (const auto* const request : {&refused, &served}) {
    for (const auto format :
         {AccessLogFormat::common, AccessLogFormat::combined, AccessLogFormat::json}) {
      std::string line;
      sonicorn::http::AccessLineFormat(format).append(line, {.request = *request,
                                                             .remote = "192.0.2.1",
                                                             .status = 200,
                                                             .body_size = 1,
                                                             .request_id = id,
                                                             .app = "app",
                                                             .generation = 1,
                                                             .duration = {},
                                                             .time = {}});
      require(line.find('\n') == line.size() - 1, "not one line");
      if (format == AccessLogFormat::json) {
        require(nlohmann::json::accept(line), "no JSON");
      } else {
        require(
            std::all_of(line.begin(), line.end() - 1, [](char c) { return c >= 0x20 && c < 0x7f; }),
            "a byte that should be escaped");
        require(bare_quotes(line) == (format == AccessLogFormat::common ? 2U : 6U),
                "a quote that should be escaped");
      }
    }
  }
  return 0;
}
