#include "http/engine.hpp"

#include <doctest/doctest.h>

#include <string>
#include <string_view>
#include <vector>

#include "http/response_writer.hpp"

namespace {

using sonicorn::http::Engine;
using sonicorn::http::Request;
using sonicorn::http::ResponseWriter;

constexpr std::uint64_t kBodyLimit = 64;

// What an engine makes of bytes: a line per request, or per refusal, which is the last.
std::vector<std::string> verdicts(const std::vector<std::string>& pieces) {
  const sonicorn::config::Limits limits;
  Engine engine(limits);
  Request request;
  std::string input;
  std::vector<std::string> out;
  for (const std::string& piece : pieces) {
    input += piece;
    for (;;) {
      std::size_t used = 0;
      Engine::Step step = engine.receive(input, used, request);
      std::size_t body = 0;
      if (step == Engine::Step::head) {
        step = engine.accept_body(kBodyLimit, std::string_view(input).substr(used), body, request);
      }
      used += body;
      if (step == Engine::Step::refused) {
        out.push_back(std::to_string(engine.refusal().status) +
                      (ResponseWriter::wants_json(request) ? " json" : "") +
                      (request.head_only ? " head" : ""));
        return out;
      }
      if (step == Engine::Step::request) {
        std::string line = std::string(request.method) + " " + std::string(request.path) + " " +
                           std::string(request.body) + (request.keep_alive ? " keep" : " close");
        for (const auto& field : request.fields) {
          line += " " + std::string(field.name.data, field.name.size) + "=" +
                  std::string(field.value.data, field.value.size);
        }
        out.push_back(line);
      }
      input.erase(0, used);
      if (step == Engine::Step::more || input.empty()) break;
    }
  }
  return out;
}

std::vector<std::string> whole(const std::string& bytes) { return verdicts({bytes}); }

void check_every_split(const std::string& bytes) {
  const auto expected = whole(bytes);
  CAPTURE(bytes);
  for (std::size_t cut = 1; cut < bytes.size(); ++cut) {
    CAPTURE(cut);
    CHECK(verdicts({bytes.substr(0, cut), bytes.substr(cut)}) == expected);
  }
  std::vector<std::string> single;
  for (const char c : bytes) single.emplace_back(1, c);
  CHECK(verdicts(single) == expected);
}

std::string get(std::string_view fields) {
  return "GET / HTTP/1.1\r\nHost: x\r\n" + std::string(fields) + "\r\n";
}

std::string post(std::string_view fields, std::string_view body) {
  return "POST / HTTP/1.1\r\nHost: x\r\n" + std::string(fields) + "\r\n" + std::string(body);
}

struct Case {
  std::string bytes;
  std::string last;  // the last verdict
};

const std::vector<Case>& cases() {
  static const std::vector<Case> all = {
      {get(""), "GET /  keep Host=x"},
      {"\r\n" + get(""), "GET /  keep Host=x"},
      {"\r\n\r\n" + get(""), "400"},
      {get("Connection: close\r\n"), "GET /  close Host=x Connection=close"},
      {"GET / HTTP/1.0\r\n\r\n", "GET /  close"},
      {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", "GET /  keep Connection=keep-alive"},
      {"GET http://a.b:80/c?d HTTP/1.1\r\nHost: a.b\r\n\r\n", "GET /c  keep Host=a.b"},
      {"OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n", "OPTIONS   keep Host=x"},
      {"GET * HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
      {"GET a HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
      {"GET x:80 HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
      {"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n", "501"},
      {"GET /\xc3\xa4 HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
      {"GET /#a HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
      {"GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
      {"GET /%4 HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
      {"GET /../a HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
      {"GET /a/./b//%63/../d HTTP/1.1\r\nHost: x\r\n\r\n", "GET /a/b/d  keep Host=x"},
      {"GET  / HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
      {"GET / HTTP/1.1 \r\nHost: x\r\n\r\n", "400"},
      {"GET / HTTP/2.0\r\nHost: x\r\n\r\n", "505"},
      {"GET / http/1.1\r\nHost: x\r\n\r\n", "400"},
      {"GET /\r\n\r\n", "400"},
      {"GET / HTTP/1.1\nHost: x\n\n", "400"},
      {"GET / HTTP/1.1\r\n\r\n", "400"},
      {"GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n", "400"},
      {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "400"},
      {"GET / HTTP/1.1\r\nHost: x:99999\r\n\r\n", "400"},
      {get("A : b\r\n"), "400"},
      {get(" A: b\r\n"), "400"},
      {get("A: b\r\n c\r\n"), "400"},
      {get("A: b\rc\r\n"), "400"},
      {get(std::string("A: b\0c\r\n", 8)), "400"},
      {get(": b\r\n"), "400"},
      {get("A:  \t \r\n"), "GET /  keep Host=x A="},
      {get("A: \tb c\t \r\n"), "GET /  keep Host=x A=b c"},
      {get("A:b\r\n"), "GET /  keep Host=x A=b"},
      {get("Expect: 200-ok\r\n"), "417"},
      {post("Content-Length: 3\r\n", "abc"), "POST / abc keep Host=x Content-Length=3"},
      {post("Content-Length: 3\r\n", "abc" + get("")), "GET /  keep Host=x"},
      {post("Content-Length: 5, 5\r\n", "abcde"), "400"},
      {post("Content-Length: 5\r\nContent-Length: 5\r\n", "abcde"), "400"},
      {post("Content-Length: +5\r\n", "abcde"), "400"},
      {post("Content-Length: \r\n", ""), "400"},
      {post("Content-Length: 18446744073709551616\r\n", ""), "400"},
      {post("Content-Length: 65\r\n", ""), "413"},
      {post("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n"), "400"},
      {post("Transfer-Encoding: chunked\r\nContent-Length: 3\r\n", "0\r\n\r\n"), "400"},
      {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "400"},
      {post("Transfer-Encoding: xchunked\r\n", ""), "501"},
      {post("Transfer-Encoding: identity\r\n", ""), "501"},
      {post("Transfer-Encoding: gzip, chunked\r\n", ""), "501"},
      {post("Transfer-Encoding: chunked, gzip\r\n", ""), "400"},
      {post("Transfer-Encoding: chunked, chunked\r\n", ""), "400"},
      {post("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", ""), "400"},
      {post("Transfer-Encoding: \xa0"
            "chunked\r\n",
            ""),
       "501"},
      {post("Transfer-Encoding:\r\n", ""), "400"},
      {post("Transfer-Encoding: Chunked\r\n",
            "3\r\nabc\r\n2;a=\"b\\\"c\";d\r\nde\r\n0\r\nT: v\r\n\r\n"),
       "POST / abcde keep Host=x Transfer-Encoding=Chunked"},
      {post("Transfer-Encoding: chunked\r\n", "0\r\n\r\n" + get("")), "GET /  keep Host=x"},
      {post("Transfer-Encoding: chunked\r\n", "3 \r\nabc\r\n0\r\n\r\n"), "400"},
      {post("Transfer-Encoding: chunked\r\n", "3\nabc\r\n0\r\n\r\n"), "400"},
      {post("Transfer-Encoding: chunked\r\n", "0x3\r\nabc\r\n0\r\n\r\n"), "400"},
      {post("Transfer-Encoding: chunked\r\n", "3\r\nabcd\r\n0\r\n\r\n"), "400"},
      {post("Transfer-Encoding: chunked\r\n", "00000000000000003\r\nabc\r\n0\r\n\r\n"), "400"},
      {post("Transfer-Encoding: chunked\r\n", "3;a\rb\r\nabc\r\n0\r\n\r\n"), "400"},
      {post("Transfer-Encoding: chunked\r\n", "41\r\n"), "413"},
      {post("Transfer-Encoding: chunked\r\n", "0\r\n folded: x\r\n\r\n"), "400"},
  };
  return all;
}

}  // namespace

TEST_SUITE("http.engine") {
  TEST_CASE("each case of RFC 9112 that invites smuggling has its verdict") {
    for (const Case& each : cases()) {
      CAPTURE(each.bytes);
      const auto found = whole(each.bytes);
      REQUIRE_FALSE(found.empty());
      CHECK(found.back() == each.last);
    }
  }

  TEST_CASE("no verdict depends on how the bytes are split") {
    for (const Case& each : cases()) check_every_split(each.bytes);
  }

  TEST_CASE("limits are judged at the byte that breaks them, however the bytes are split") {
    const std::string line = "GET /" + std::string(8 * 1024, 'a') + " HTTP/1.1\r\n";
    CHECK(whole(line).back() == "414");
    CHECK(whole(line.substr(0, 8 * 1024 + 1)).empty());
    CHECK(whole(line.substr(0, 8 * 1024 + 2)).back() == "414");
    // The line end that would make it a bad line ending comes after the limit.
    CHECK(whole("GET /" + std::string(9000, 'a') + "\n").back() == "414");

    const std::string field = get("A: " + std::string(8 * 1024, 'a') + "\r\n");
    CHECK(whole(field).back() == "431");
    std::string many;
    for (int i = 0; i < 99; ++i) many += "A: b\r\n";
    CHECK(whole(get(many)).size() == 1);
    CHECK(whole(get(many + "A: b\r\n")).back() == "431");
    std::string large;
    for (int i = 0; i < 5; ++i) large += "A: " + std::string(8000, 'a') + "\r\n";
    CHECK(whole(get(large)).back() == "431");

    const std::string exact =
        "GET /" + std::string(8 * 1024 - 14, 'a') + " HTTP/1.1\r\nHost: x\r\n\r\n";
    REQUIRE(exact.find('\r') == 8 * 1024);
    CHECK(whole(exact).back().starts_with("GET"));
  }

  TEST_CASE("pipelined requests come out in order") {
    std::string bytes;
    for (int i = 0; i < 16; ++i) {
      bytes += i % 3 == 0   ? get("N: " + std::to_string(i) + "\r\n")
               : i % 3 == 1 ? post("Content-Length: 2\r\nN: " + std::to_string(i) + "\r\n", "ab")
                            : post("Transfer-Encoding: chunked\r\nN: " + std::to_string(i) + "\r\n",
                                   "1\r\na\r\n0\r\n\r\n");
    }
    const auto found = whole(bytes);
    REQUIRE(found.size() == 16);
    for (std::size_t i = 0; i < 16; ++i) CHECK(found[i].ends_with("N=" + std::to_string(i)));
    check_every_split(bytes);
  }

  TEST_CASE("a refused head says in which form its answer is wanted, however it is cut") {
    const std::string json = "Accept: application/json\r\n";
    for (const auto& [bytes, verdict] : std::vector<Case>{
             {"GET / HTTP/3.0\r\n" + json + "\r\n", "505 json"},
             {"HEAD / HTTP/1.1\r\nHost: a\r\nHost: b\r\n" + json + "\r\n", "400 json head"},
             {get("Content-Length: x\r\n" + json), "400 json"},
             {get(json + "X: " + std::string(9000, 'x') + "\r\n"), "431 json"},
             {"\r\nHEAD / HTTP/1.1\r\n" + json + "X: y\n", "400 json head"},
             {"GET /" + std::string(9000, 'x') + " HTTP/1.1\r\n" + json + "\r\n", "414"},
         }) {
      CAPTURE(bytes);
      CHECK(whole(bytes) == std::vector<std::string>{verdict});
      check_every_split(bytes);
    }
  }

  TEST_CASE("a client that expects 100-continue is told once, before its body") {
    const sonicorn::config::Limits limits;
    Engine engine(limits);
    Request request;
    const std::string head = post("Content-Length: 2\r\nExpect: 100-continue\r\n", "");
    std::size_t used = 0;
    REQUIRE(engine.receive(head, used, request) == Engine::Step::head);
    REQUIRE(used == head.size());
    CHECK(engine.accept_body(kBodyLimit, "", used, request) == Engine::Step::more);
    CHECK(engine.take_continue());
    CHECK_FALSE(engine.take_continue());
    CHECK(engine.receive("ab", used, request) == Engine::Step::request);
    CHECK(request.body == "ab");
  }
}
