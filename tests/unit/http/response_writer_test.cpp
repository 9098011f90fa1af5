#include "http/response_writer.hpp"

#include <doctest/doctest.h>

#include <cstring>
#include <string>

using namespace sonicorn::http;

namespace {

constexpr std::time_t kWhen = 784111777;
const std::string kDate = "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";

struct Fixture {
  ResponseWriter writer;
  Output output;
  Request request;
  AppResponse response;

  Fixture() { writer.set_time(kWhen); }
  std::string written(bool close = false) {
    writer.write(output, request, response, close);
    return std::string(output.plain());
  }
};

}  // namespace

TEST_SUITE("http.response_writer") {
  TEST_CASE_FIXTURE(Fixture, "an answer has its status, Date, type, length and body") {
    response.body = SONICORN_STRING("Hello\n");
    response.content_type = SONICORN_STRING("text/plain");
    CHECK(written() == "HTTP/1.1 200 OK\r\n" + kDate +
                           "Content-Type: text/plain\r\nContent-Length: 6\r\n\r\nHello\n");
  }

  TEST_CASE_FIXTURE(Fixture, "HEAD, 204 and 304 have no body, and say no length that is not true") {
    response.body = SONICORN_STRING("Hello\n");
    request.head_only = true;
    CHECK(written() == "HTTP/1.1 200 OK\r\n" + kDate + "Content-Length: 6\r\n\r\n");
    output.clear();
    response.status = 204;
    CHECK(written() == "HTTP/1.1 204 No Content\r\n" + kDate + "\r\n");
    output.clear();
    response.status = 304;
    CHECK(written() == "HTTP/1.1 304 Not Modified\r\n" + kDate + "\r\n");
  }

  TEST_CASE_FIXTURE(Fixture,
                    "the connection's future is told where the version does not imply it") {
    CHECK(written(true).find("Connection: close\r\n") != std::string::npos);
    output.clear();
    request.version = 10;
    CHECK(written(false).find("Connection: keep-alive\r\n") != std::string::npos);
  }

  TEST_CASE_FIXTURE(Fixture, "an app's Date replaces the server's, its fields keep their order") {
    const sonicorn_field fields[] = {
        {SONICORN_STRING("date"), SONICORN_STRING("then")},
        {SONICORN_STRING("X-B"), SONICORN_STRING("1")},
        {SONICORN_STRING("X-A"), SONICORN_STRING("")},
    };
    response.fields = fields;
    response.field_count = 3;
    CHECK(written() ==
          "HTTP/1.1 200 OK\r\ndate: then\r\nX-B: 1\r\nX-A: \r\nContent-Length: 0\r\n\r\n");
  }

  TEST_CASE_FIXTURE(Fixture, "a small body is copied and released, a large one is borrowed") {
    int released = 0;
    response.release = [](void* argument) { ++*static_cast<int*>(argument); };
    response.release_argument = &released;
    response.body = SONICORN_STRING("small");
    writer.write(output, request, response, false);
    CHECK(released == 1);
    CHECK_FALSE(output.fleeting());

    const std::string large(100'000, 'x');
    response.reset();
    response.release = [](void* argument) { ++*static_cast<int*>(argument); };
    response.release_argument = &released;
    response.body = {large.data(), large.size()};
    writer.write(output, request, response, false);
    CHECK(released == 1);
    output.consume(output.size());
    CHECK(released == 2);
  }

  TEST_CASE_FIXTURE(Fixture, "memory from allocate lives until the next answer") {
    auto* text = static_cast<char*>(response.allocate(&response, 10'000));
    REQUIRE(text != nullptr);
    CHECK(reinterpret_cast<std::uintptr_t>(text) % 16 == 0);
    std::memset(text, 'y', 10'000);
    response.body = {text, 10'000};
    CHECK(written().ends_with(std::string(10'000, 'y')));
  }

  TEST_CASE_FIXTURE(Fixture, "what would break the message is a fault, and is named") {
    CHECK(ResponseWriter::fault_of(response).empty());
    response.status = 100;
    CHECK_FALSE(ResponseWriter::fault_of(response).empty());
    response.status = 600;
    CHECK_FALSE(ResponseWriter::fault_of(response).empty());
    response.status = 200;
    response.content_type = SONICORN_STRING("a\r\nb: c");
    CHECK_FALSE(ResponseWriter::fault_of(response).empty());
    response.content_type = {};
    for (const sonicorn_field field : {
             sonicorn_field{SONICORN_STRING("a b"), SONICORN_STRING("c")},
             sonicorn_field{SONICORN_STRING(""), SONICORN_STRING("c")},
             sonicorn_field{SONICORN_STRING("a"), SONICORN_STRING("b\r\nc: d")},
             sonicorn_field{SONICORN_STRING("a"), SONICORN_STRING("b\n")},
             sonicorn_field{SONICORN_STRING("content-length"), SONICORN_STRING("1")},
             sonicorn_field{SONICORN_STRING("Transfer-Encoding"), SONICORN_STRING("chunked")},
         }) {
      response.fields = &field;
      response.field_count = 1;
      CHECK_FALSE(ResponseWriter::fault_of(response).empty());
    }
  }

  TEST_CASE_FIXTURE(Fixture, "a refusal is text or JSON, and nothing of the request is in it") {
    writer.write_refusal(output, refusals::kNotFound, false, false, false, false);
    CHECK(output.plain().ends_with("\r\n\r\n404 Not Found: no app answers at this path\n"));
    output.clear();
    writer.write_refusal(output, refusals::kBusy, true, false, true, false);
    const std::string json(output.plain());
    CHECK(json.find("Retry-After: ") != std::string::npos);
    CHECK(json.find("Connection: close") != std::string::npos);
    CHECK(json.ends_with(
        "{\"error\":{\"status\":503,\"id\":\"http.busy\",\"message\":\"the server is busy; try "
        "again\"}}\n"));
    output.clear();
    writer.write_refusal(output, refusals::kNotFound, false, true, false, false);
    CHECK(output.plain().ends_with("\r\n\r\n"));
  }
}
