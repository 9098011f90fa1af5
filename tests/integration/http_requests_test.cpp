#include "support/support.hpp"

// Requests and the verdicts on them: request line, Host, fields, and what the length of a body may
// look like. RFC 9112 where nothing else is said.

using namespace support;
using std::string;

namespace {

const string kHost = "Host: test\r\n";

// A GET with these header lines besides Host.
string with(const string& lines) { return get("/", lines); }

// A request whose request line is `line`.
string line(const string& text) { return text + "\r\n" + kHost + "\r\n"; }

// A GET whose Host line is `text`.
string host(const string& text) { return "GET / HTTP/1.1\r\n" + text + "\r\n"; }

// A POST with these header lines and then `rest`.
string body(const string& lines, const string& rest) {
  return "POST / HTTP/1.1\r\n" + kHost + lines + "\r\n" + rest;
}

}  // namespace

TEST_SUITE("http_requests") {
  TEST_CASE("a request line is served or refused by its form") {
    Server server({.files = {mounted("/", "echo")}});
    check_exchanges(
        server, {
                    served("GET", line("GET / HTTP/1.1")),
                    served("any method", line("BREW /?show=method HTTP/1.1"), "BREW"),
                    served("lower-case method is another method",
                           line("get /?show=method HTTP/1.1"), "get"),
                    served("absolute form", line("GET http://test/a/b?show=path HTTP/1.1"), "/a/b"),
                    served("absolute form without a path", line("GET http://test HTTP/1.1")),
                    served("one empty line before the request", "\r\n" + line("GET / HTTP/1.1")),
                    {"OPTIONS *", line("OPTIONS * HTTP/1.1"), {200, 204}, Then::open},
                    refused("CONNECT", line("CONNECT test:443 HTTP/1.1"), {501}),
                    refused("GET *", line("GET * HTTP/1.1")),
                    refused("relative target", line("GET a HTTP/1.1")),
                    refused("authority as target", line("GET test:80 HTTP/1.1")),
                    refused("empty target", line("GET  HTTP/1.1")),
                    refused("8-bit byte in the target", line("GET /\xff HTTP/1.1")),
                    refused("control character in the target", line("GET /\x01 HTTP/1.1")),
                    refused("tabs instead of spaces", line("GET\t/\tHTTP/1.1")),
                    refused("two spaces before the target", line("GET  / HTTP/1.1")),
                    refused("two spaces after the target", line("GET /  HTTP/1.1")),
                    refused("space after the version", line("GET / HTTP/1.1 ")),
                    refused("space before the method", line(" GET / HTTP/1.1")),
                    refused("no version", line("GET /")),
                    refused("a method that is no token", line("G(T / HTTP/1.1")),
                    refused("NUL in the method", line(string("G\0T / HTTP/1.1", 14))),
                    refused("lower-case protocol", line("GET / http/1.1")),
                    refused("version without a point", line("GET / HTTP/11")),
                    refused("version without a minor", line("GET / HTTP/1.")),
                    refused("another protocol", line("GET / SIP/1.1")),
                    refused("HTTP/2.0", line("GET / HTTP/2.0"), {505}),
                    refused("HTTP/3.0", line("GET / HTTP/3.0"), {505}),
                    refused("line feed before the request", "\n" + line("GET / HTTP/1.1")),
                });
  }

  TEST_CASE("HTTP/1.0 is served as HTTP/1.0") {
    Server server({.files = {mounted("/", "echo")}});
    check_exchanges(
        server,
        {
            {"without Host", "GET /?show=version HTTP/1.0\r\n\r\n", {200}, Then::closed, "10"},
            {"with Host", line("GET / HTTP/1.0"), {200}, Then::closed},
            served("keep-alive on request", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"),
            refused("Transfer-Encoding",
                    "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
            {"Expect is not for it",
             "POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi",
             {200},
             Then::closed,
             "hi"},
        });
  }

  TEST_CASE("Connection decides whether the connection stays open") {
    Server server({.files = {mounted("/", "echo")}});
    check_exchanges(
        server, {
                    served("keep-alive is the default", with("")),
                    served("keep-alive", with("Connection: keep-alive\r\n")),
                    {"close", with("Connection: close\r\n"), {200}, Then::closed},
                    {"CLOSE", with("Connection: CLOSE\r\n"), {200}, Then::closed},
                    {"close in a list", with("Connection: x-a , close\r\n"), {200}, Then::closed},
                    {"close in a second field",
                     with("Connection: x-a\r\nConnection: close\r\n"),
                     {200},
                     Then::closed},
                });
  }

  TEST_CASE("Host is there once and well-formed") {
    Server server({.files = {mounted("/", "echo")}});
    check_exchanges(server, {
                                served("name", host("Host: example.org\r\n")),
                                served("name and port", host("Host: example.org:8000\r\n")),
                                served("IPv6 and port", host("Host: [::1]:8000\r\n")),
                                served("spaces around it", host("Host: \t example.org \t \r\n")),
                                refused("missing", host("")),
                                refused("twice", host("Host: a\r\nHost: b\r\n")),
                                refused("twice the same", host("Host: a\r\nhost: a\r\n")),
                                refused("space inside", host("Host: a b\r\n")),
                                refused("path inside", host("Host: a/b\r\n")),
                                refused("user inside", host("Host: u@a\r\n")),
                                refused("port that is no number", host("Host: a:80x\r\n")),
                                refused("list", host("Host: a, b\r\n")),
                                refused("IPv6 without its end", host("Host: [::1\r\n")),
                            });
  }

  TEST_CASE("a header field is well-formed") {
    Server server({.files = {mounted("/", "echo")}});
    const string show = "GET /?show=field&name=x-a HTTP/1.1\r\n" + kHost;
    check_exchanges(
        server,
        {
            served("value", show + "X-A: one two\r\n\r\n", "one two"),
            served("no space after the colon", show + "x-a:v\r\n\r\n", "v"),
            served("white space around the value", show + "X-A: \t v\t \r\n\r\n", "v"),
            served("empty value", show + "X-A:\r\n\r\n"),
            served("obs-text in the value", show + "X-A: \xc3\xa4\r\n\r\n", "\xc3\xa4"),
            refused("space before the colon", with("X-A : v\r\n")),
            refused("tab before the colon", with("X-A\t: v\r\n")),
            refused("obs-fold", with("X-A: v\r\n w\r\n")),
            refused("obs-fold with a tab", with("X-A: v\r\n\tw\r\n")),
            refused("first line begins with a space", "GET / HTTP/1.1\r\n " + kHost + "\r\n"),
            refused("line feeds alone", "GET / HTTP/1.1\nHost: test\n\n"),
            refused("line feed alone after a field",
                    "GET / HTTP/1.1\r\nHost: test\nX-A: v\r\n\r\n"),
            refused("line feed alone at the end", "GET / HTTP/1.1\r\nHost: test\r\n\n"),
            refused("carriage return in a value", with("X-A: v\rw\r\n")),
            refused("two carriage returns", with("X-A: v\r\r\n")),
            refused("NUL in a value", with(string("X-A: v\0w\r\n", 10))),
            refused("no colon", with("X-A\r\n")),
            refused("no name", with(": v\r\n")),
            refused("a name that is no token", with("X@A: v\r\n")),
            refused("8-bit byte in a name", with("X\xff: v\r\n")),
        });
  }

  TEST_CASE("Content-Length is one plain number") {
    Server server({.files = {mounted("/", "echo")}});
    check_exchanges(
        server,
        {
            served("a body", body("Content-Length: 5\r\n", "hello"), "hello"),
            served("no body", body("Content-Length: 0\r\n", "")),
            served("neither length nor body", body("", "")),
            served("leading zero", body("Content-Length: 05\r\n", "hello"), "hello"),
            served("body of a GET", "GET / HTTP/1.1\r\n" + kHost + "Content-Length: 2\r\n\r\nhi",
                   "hi"),
            served("a body that looks like a request",
                   body("Content-Length: 18\r\n", "GET /a HTTP/1.1\r\n\r"),
                   "GET /a HTTP/1.1\r\n\r"),
            refused("plus", body("Content-Length: +5\r\n", "hello")),
            refused("minus", body("Content-Length: -5\r\n", "hello")),
            refused("list", body("Content-Length: 5, 5\r\n", "hello")),
            refused("two numbers", body("Content-Length: 5 5\r\n", "hello")),
            refused("hexadecimal", body("Content-Length: 0x5\r\n", "hello")),
            refused("fraction", body("Content-Length: 5.0\r\n", "hello")),
            refused("empty", body("Content-Length:\r\n", "")),
            refused("twice the same", body("Content-Length: 5\r\nContent-Length: 5\r\n", "hello")),
            refused("twice", body("Content-Length: 5\r\nContent-Length: 6\r\n", "hello")),
            refused("beyond 64 bits", body("Content-Length: 18446744073709551616\r\n", "")),
            refused("beyond 64 bits by its number of digits",
                    body("Content-Length: 99999999999999999999999\r\n", "")),
            refused("the largest of 64 bits", body("Content-Length: 18446744073709551615\r\n", ""),
                    {413}),
            refused("above the limit", body("Content-Length: 1048577\r\n", ""), {413}),
        });
  }

  TEST_CASE("Transfer-Encoding is exactly chunked, and alone") {
    Server server({.files = {mounted("/", "echo")}});
    const string chunks = "2\r\nhi\r\n0\r\n\r\n";
    const auto coding = [&](const string& value) {
      return body("Transfer-Encoding: " + value + "\r\n", chunks);
    };
    check_exchanges(
        server,
        {
            served("chunked", coding("chunked"), "hi"),
            served("in another case", coding("CHUNKED"), "hi"),
            served("white space around", coding("\t chunked \t"), "hi"),
            refused("gzip", coding("gzip"), {501}),
            refused("identity", coding("identity"), {501}),
            refused("nearly chunked", coding("xchunked"), {501}),
            refused("8-bit space before it",
                    coding("\xa0"
                           "chunked"),
                    {400, 501}),
            refused("gzip, chunked", coding("gzip, chunked"), {501}),
            refused("chunked, gzip", coding("chunked, gzip"), {400, 501}),
            refused("doubled in a list", coding("chunked, chunked"), {400, 501}),
            refused("doubled in fields", coding("chunked\r\nTransfer-Encoding: chunked"),
                    {400, 501}),
            refused("unknown in a second field", coding("chunked\r\nTransfer-Encoding: x"),
                    {400, 501}),
            refused("with a parameter", coding("chunked;q=1"), {400, 501}),
            refused("quoted", coding("\"chunked\""), {400, 501}),
            refused("empty", coding(""), {400, 501}),
            refused("vertical tab before it",
                    coding("\x0b"
                           "chunked"),
                    {400, 501}),
            refused("space before its colon", body("Transfer-Encoding : chunked\r\n", chunks)),
            refused("with Content-Length", coding("chunked\r\nContent-Length: 12")),
            refused("behind Content-Length",
                    body("Content-Length: 12\r\nTransfer-Encoding: chunked\r\n", chunks)),
            refused("unknown, with Content-Length", coding("x\r\nContent-Length: 12"), {400, 501}),
        });
  }

  TEST_CASE("the pool reaches the same verdicts as the I/O thread") {
    Server server({.files = {mounted("/", "echo_pool")}});
    check_exchanges(
        server,
        {
            served("GET", line("GET /?show=method HTTP/1.1"), "GET"),
            {"close", with("Connection: close\r\n"), {200}, Then::closed},
            served("a body", body("Content-Length: 5\r\n", "hello"), "hello"),
            served("chunks", body("Transfer-Encoding: chunked\r\n", "2\r\nhi\r\n0\r\n\r\n"), "hi"),
            refused("obs-fold", with("X-A: v\r\n w\r\n")),
            refused("both lengths",
                    body("Content-Length: 2\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n")),
        });
  }
}
