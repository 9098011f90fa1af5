#include "http/trace_parent.hpp"

#include <doctest/doctest.h>

#include <set>
#include <string>

#include "http/request.hpp"

namespace sonicorn::http {
namespace {

constexpr std::string_view kValid = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
constexpr std::string_view kId = "4bf92f3577b34da6a3ce929d0e0e4736";

std::string with(std::size_t at, std::string_view text) {
  return std::string(kValid).replace(at, text.size(), text);
}

TEST_CASE("a valid traceparent has a trace-id") {
  CHECK(trace_id_of(kValid) == kId);
  CHECK(trace_id_of(with(53, "ff")) == kId);
  CHECK(trace_id_of(with(3, std::string(31, '0') + "1")) == std::string(31, '0') + "1");
}

TEST_CASE("a later version begins like the first") {
  CHECK(trace_id_of(with(0, "01")) == kId);
  CHECK(trace_id_of(with(0, "cc") + "-what-the-future-will-be-like") == kId);
  CHECK(trace_id_of(with(0, "cc") + ".what").empty());
}

TEST_CASE("what is not quite a traceparent has none") {
  CHECK(trace_id_of("").empty());
  CHECK(trace_id_of(std::string(kValid) + "-").empty());
  CHECK(trace_id_of(kValid.substr(0, 54)).empty());
  CHECK(trace_id_of(with(0, "0g")).empty());
  CHECK(trace_id_of(with(0, "ff")).empty());
  CHECK(trace_id_of(with(3, "4B")).empty());
  CHECK(trace_id_of(with(40, "A")).empty());
  CHECK(trace_id_of(with(53, "0G")).empty());
  CHECK(trace_id_of(with(2, "_")).empty());
  CHECK(trace_id_of(with(35, "_")).empty());
  CHECK(trace_id_of(with(52, "_")).empty());
  CHECK(trace_id_of(with(3, std::string(32, '0'))).empty());
  CHECK(trace_id_of(with(36, std::string(16, '0'))).empty());
  CHECK(trace_id_of(with(3, "\"")).empty());
}

TEST_CASE("those that are made are valid and differ") {
  TraceParents one;
  TraceParents other;
  std::set<std::string> ids;
  for (int i = 0; i < 1000; ++i) {
    for (TraceParents* const maker : {&one, &other}) {
      const TraceParents::Value made = maker->make();
      ids.emplace(trace_id_of({made.data(), made.size()}));
    }
  }
  CHECK(ids.size() == 2000);
  CHECK_FALSE(ids.contains(""));
}

sonicorn_field field(std::string_view name, std::string_view value) {
  return {{name.data(), name.size()}, {value.data(), value.size()}};
}

TEST_CASE("a request that is given a traceparent keeps it through moves and copies") {
  std::string input = "GET / HTTP/1.1\r\nTraceparent: no\r\nTraceState: a=b\r\nHost: a\r\n\r\n";
  auto request = std::make_unique<Request>();
  const std::string_view head = input;
  request->head = head;
  request->method = head.substr(0, 3);
  request->fields = {field(head.substr(16, 11), head.substr(29, 2)),
                     field(head.substr(33, 10), head.substr(45, 3)),
                     field(head.substr(50, 4), head.substr(56, 1))};
  REQUIRE(request->field("host") == "a");
  TraceParents::Value value{};
  kValid.copy(value.data(), value.size());
  request->set_trace_parent(value);
  CHECK(request->fields.size() == 2);
  request->own();
  input.assign(input.size(), '!');
  CHECK(request->field("traceparent") == kValid);
  CHECK(request->field("host") == "a");
  const std::unique_ptr<Request> copy = request->clone();
  request.reset();
  CHECK(copy->field("traceparent") == kValid);
  CHECK(copy->field("host") == "a");
  CHECK(copy->method == "GET");
}

}  // namespace
}  // namespace sonicorn::http
