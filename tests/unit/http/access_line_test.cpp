#include "http/access_line.hpp"

#include <doctest/doctest.h>
#include <stdlib.h>

#include <nlohmann/json.hpp>
#include <string>

namespace sonicorn::http {
namespace {

using config::AccessLogFormat;
using Json = nlohmann::json;

sonicorn_field field(std::string_view name, std::string_view value) {
  return {{name.data(), name.size()}, {value.data(), value.size()}};
}

Request plain_request() {
  Request request;
  request.method = "GET";
  request.target = "/a?b=c";
  request.path = "/a";
  request.fields = {field("Referer", "http://a/"), field("User-Agent", "test/1")};
  return request;
}

// 2026-11-26 08:30:00.123 UTC
AccessEntry entry_of(const Request& request) {
  return {.request = request,
          .remote = "192.0.2.1",
          .status = 200,
          .body_size = 13,
          .request_id = "4bf92f3577b34da6a3ce929d0e0e4736",
          .app = "hello",
          .generation = 2,
          .duration = std::chrono::microseconds(1234),
          .time = {1795681800, 123'000'000}};
}

std::string line_of(AccessLogFormat format, const AccessEntry& entry) {
  std::string line;
  AccessLineFormat(format).append(line, entry);
  return line;
}

// A zone with an offset, as long as it lives.
struct Zone {
  explicit Zone(const char* name) {
    ::setenv("TZ", name, 1);
    ::tzset();
  }
  ~Zone() {
    ::unsetenv("TZ");
    ::tzset();
  }
};

TEST_CASE("common is the format that every tool for logs knows") {
  const Zone zone("XXX-1");
  const Request request = plain_request();
  CHECK(line_of(AccessLogFormat::common, entry_of(request)) ==
        "192.0.2.1 - - [26/Nov/2026:09:30:00 +0100] \"GET /a?b=c HTTP/1.1\" 200 13\n");
}

TEST_CASE("west of Greenwich, and half an hour more") {
  const Zone zone("XXX3:30");
  const Request request = plain_request();
  CHECK(line_of(AccessLogFormat::common, entry_of(request)).find("[26/Nov/2026:05:00:00 -0330]") !=
        std::string::npos);
}

TEST_CASE("combined tells of the client, then who answered and how long it took") {
  const Zone zone("UTC0");
  const Request request = plain_request();
  CHECK(line_of(AccessLogFormat::combined, entry_of(request)) ==
        "192.0.2.1 - - [26/Nov/2026:08:30:00 +0000] \"GET /a?b=c HTTP/1.1\" 200 13 \"http://a/\" "
        "\"test/1\" 4bf92f3577b34da6a3ce929d0e0e4736 hello 2 0.001234\n");
}

TEST_CASE("JSON has each as a field") {
  const Request request = plain_request();
  const Json line = Json::parse(line_of(AccessLogFormat::json, entry_of(request)));
  CHECK(line == Json{{"time", "2026-11-26T08:30:00.123Z"},
                     {"remote", "192.0.2.1"},
                     {"request", "GET /a?b=c HTTP/1.1"},
                     {"method", "GET"},
                     {"target", "/a?b=c"},
                     {"status", 200},
                     {"bytes", 13},
                     {"referer", "http://a/"},
                     {"user_agent", "test/1"},
                     {"request_id", "4bf92f3577b34da6a3ce929d0e0e4736"},
                     {"app", "hello"},
                     {"generation", 2},
                     {"duration", 0.001234}});
}

TEST_CASE("what is not there is a dash, and null in JSON") {
  const Zone zone("UTC0");
  const Request request;
  AccessEntry entry = entry_of(request);
  entry.body_size = 0;
  entry.app = {};
  entry.generation = 0;
  entry.status = 503;
  CHECK(line_of(AccessLogFormat::combined, entry) ==
        "192.0.2.1 - - [26/Nov/2026:08:30:00 +0000] \"-\" 503 - \"-\" \"-\" "
        "4bf92f3577b34da6a3ce929d0e0e4736 - - 0.001234\n");
  const Json line = Json::parse(line_of(AccessLogFormat::json, entry));
  CHECK(line["request"].is_null());
  CHECK(line["referer"].is_null());
  CHECK(line["app"].is_null());
  CHECK(line["generation"].is_null());
  CHECK(line["bytes"] == 0);
}

TEST_CASE("of a head that was refused the first line is told as it came") {
  Request request;
  request.head = "\r\nGET /\x01 \"x\" HTTP/9\r\nHost: a\r\n\r\n";
  const std::string line = line_of(AccessLogFormat::common, entry_of(request));
  CHECK(line.find("\"GET /\\x01 \\\"x\\\" HTTP/9\" 200") != std::string::npos);
  const Json json = Json::parse(line_of(AccessLogFormat::json, entry_of(request)));
  CHECK(json["request"] == "GET /\x01 \"x\" HTTP/9");
  CHECK(json["method"].is_null());
}

TEST_CASE("nobody forges a line or a field") {
  Request request = plain_request();
  request.fields = {field("User-Agent", "x\" 1 \"\n192.0.2.9 - - \\"), field("Referer", "\xff\t")};
  for (const auto format : {AccessLogFormat::combined, AccessLogFormat::json}) {
    const std::string line = line_of(format, entry_of(request));
    CHECK(line.find('\n') == line.size() - 1);
  }
  const std::string line = line_of(AccessLogFormat::combined, entry_of(request));
  CHECK(line.find("\"\\xff\\t\" \"x\\\" 1 \\\"\\n192.0.2.9 - - \\\\\" 4bf9") != std::string::npos);
  const Json json = Json::parse(line_of(AccessLogFormat::json, entry_of(request)));
  CHECK(json["user_agent"] == "x\" 1 \"\n192.0.2.9 - - \\");
  CHECK(json["referer"] == "\uFFFD\t");
}

TEST_CASE("a text of a client is cut") {
  Request request = plain_request();
  const std::string target = "/" + std::string(20'000, 'a');
  request.target = target;
  CHECK(line_of(AccessLogFormat::json, entry_of(request)).size() < 17'000);
}

TEST_CASE("the second that is kept is not taken for another") {
  const Zone zone("UTC0");
  const Request request = plain_request();
  AccessEntry entry = entry_of(request);
  AccessLineFormat format(AccessLogFormat::common);
  std::string lines;
  format.append(lines, entry);
  entry.time.tv_sec += 61;
  format.append(lines, entry);
  CHECK(lines.find("08:30:00") != std::string::npos);
  CHECK(lines.find("08:31:01") != std::string::npos);
}

}  // namespace
}  // namespace sonicorn::http
