#include "support/support.hpp"

// Chunked bodies: RFC 9112 7.1.

using namespace support;
using std::string;

namespace {

string chunked(const string& chunks, const string& target = "/") {
  return "POST " + target + " HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n" +
         chunks;
}

string hex(std::size_t number) {
  char text[20];
  std::snprintf(text, sizeof text, "%zx", number);
  return text;
}

}  // namespace

TEST_SUITE("http_chunked") {
  TEST_CASE("well-formed chunks are one body") {
    Server server({.files = {mounted("/", "echo")}});
    check_exchanges(
        server,
        {
            served("no chunk", chunked("0\r\n\r\n")),
            served("one chunk", chunked("5\r\nhello\r\n0\r\n\r\n"), "hello"),
            served("several chunks", chunked("2\r\nhe\r\n1\r\nl\r\n2\r\nlo\r\n0\r\n\r\n"), "hello"),
            served("hexadecimal size", chunked("a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n"),
                   "01234567890123456789"),
            served("leading zeros", chunked("005\r\nhello\r\n000\r\n\r\n"), "hello"),
            served("16 digits", chunked("0000000000000005\r\nhello\r\n0\r\n\r\n"), "hello"),
            served("extension", chunked("5;a=b\r\nhello\r\n0;c\r\n\r\n"), "hello"),
            served("quoted extension", chunked("5;a=\"b;c\"\r\nhello\r\n0\r\n\r\n"), "hello"),
            served("trailers", chunked("5\r\nhello\r\n0\r\nX-A: 1\r\nX-B: 2\r\n\r\n"), "hello"),
            served("a body of line ends", chunked("4\r\n\r\n\r\n\r\n0\r\n\r\n"), "\r\n\r\n"),
            served("a body that looks like the last chunk", chunked("5\r\n0\r\n\r\n\r\n0\r\n\r\n"),
                   "0\r\n\r\n"),
        });
  }

  TEST_CASE("anything else is refused") {
    Server server({.files = {mounted("/", "echo")}});
    check_exchanges(
        server,
        {
            refused("no size", chunked("\r\nhello\r\n0\r\n\r\n")),
            refused("no digit", chunked("g\r\n")),
            refused("prefix", chunked("0x5\r\nhello\r\n0\r\n\r\n")),
            refused("sign", chunked("+5\r\nhello\r\n0\r\n\r\n")),
            refused("negative", chunked("-5\r\nhello\r\n0\r\n\r\n")),
            refused("space before the size", chunked(" 5\r\nhello\r\n0\r\n\r\n")),
            refused("space after the size", chunked("5 \r\nhello\r\n0\r\n\r\n")),
            refused("tab after the size", chunked("5\t\r\nhello\r\n0\r\n\r\n")),
            refused("space before an extension", chunked("5 ;a=b\r\nhello\r\n0\r\n\r\n")),
            refused("17 digits", chunked("00000000000000005\r\nhello\r\n0\r\n\r\n")),
            refused("17 digits beyond 64 bits", chunked("fffffffffffffffff\r\n")),
            refused("the largest of 64 bits", chunked("ffffffffffffffff\r\n"), {400, 413}),
            refused("line feed alone after the size", chunked("5\nhello\r\n0\r\n\r\n")),
            refused("line feed alone after the data", chunked("5\r\nhello\n0\r\n\r\n")),
            refused("line feed alone in an extension", chunked("5;a\nb\r\nhello\r\n0\r\n\r\n")),
            refused("carriage return in an extension", chunked("5;a\rb\r\nhello\r\n0\r\n\r\n")),
            refused("carriage return alone after the size", chunked("5\rhello\r\n0\r\n\r\n")),
            refused("line feed alone after the last size", chunked("0\n\r\n")),
            refused("line feed alone at the end", chunked("0\r\n\n")),
            refused("more data than its size", chunked("5\r\nhello!\r\n0\r\n\r\n")),
            refused("less data than its size", chunked("6\r\nhello\r\n0\r\n\r\n")),
            refused("no end of the data", chunked("5\r\nhello0\r\n\r\n")),
            refused("trailer without a colon", chunked("0\r\nX-A\r\n\r\n")),
            refused("trailer with a space in its name", chunked("0\r\nX A: 1\r\n\r\n")),
            refused("trailer with a space before the colon", chunked("0\r\nX-A : 1\r\n\r\n")),
            refused("trailer with an obs-fold", chunked("0\r\nX-A: 1\r\n 2\r\n\r\n")),
            refused("trailer with a line feed alone", chunked("0\r\nX-A: 1\n\r\n")),
            refused("trailer with NUL", chunked(string("0\r\nX-A: \0\r\n\r\n", 13))),
        });
  }

  TEST_CASE("the end of a body may arrive in any number of packets") {
    Server server({.files = {mounted("/", "echo")}});
    const string head = chunked("");
    for (const auto& pieces : std::vector<std::vector<std::string_view>>{
             {head, "0\r\n", "\r", "\n"},
             {head, "0", "\r\n\r", "\n"},
             {head, "0\r", "\n\r\n"},
             {head, "1\r\nx", "\r", "\n0", "\r", "\n", "\r", "\n"}}) {
      Client client(server.unix_socket());
      REQUIRE(client.send_pieces(pieces));
      CHECK(client.read_response().status == 200);
      CHECK(client.ask(get("/")).status == 200);
    }
  }

  TEST_CASE("trailers never become header fields") {
    Server server({.files = {mounted("/", "echo")}});
    const Response response =
        ask(server.tcp(), chunked("0\r\nX-A: smuggled\r\n\r\n", "/?show=field&name=x-a"));
    CHECK(response.status == 200);
    CHECK(response.body == "(absent)");
  }

  TEST_CASE("a chunked body is bounded like any other") {
    Server server({.toml = "[limits]\nbody = 1000\n" + app_entry("/", "echo")});
    const string half(500, 'x');
    const string full = "1f4\r\n" + half + "\r\n1f4\r\n" + half + "\r\n";
    CHECK(ask(server.tcp(), chunked(full + "0\r\n\r\n")).body.size() == 1000);
    check_exchanges(server,
                    {
                        refused("one byte more", chunked(full + "1\r\nx\r\n0\r\n\r\n"), {413}),
                        refused("a chunk too large", chunked("3e9\r\n"), {413}),
                    });
  }

  TEST_CASE("extensions and trailers are bounded in total") {
    // Times are not what this is about, and byte by byte takes some.
    Server server(
        {.toml = "[limits]\nhead_time = 600\nbody_grace = 600\n" + app_entry("/", "echo")});
    const std::vector<int> refusals{400, 413, 431};
    string many;
    for (int i = 0; i < 200; ++i) many += "1;" + string(1000, 'e') + "\r\nx\r\n";
    string trailers = "0\r\n";
    for (int i = 0; i < 200; ++i) trailers += "X-T: " + string(1000, 't') + "\r\n";
    check_exchanges(
        server,
        {
            refused("one long extension", chunked("1;" + string(200'000, 'e')), refusals),
            refused("many extensions", chunked(many), refusals),
            refused("one long trailer", chunked("0\r\nX-T: " + string(200'000, 't')), refusals),
            refused("many trailers", chunked(trailers), refusals),
        });
  }

  TEST_CASE("a large body arrives whole, however it is cut into chunks") {
    Server server({.toml = "[limits]\nbody = 4000000\n" + app_entry("/", "echo")});
    string body;
    string chunks;
    for (std::size_t size = 1; body.size() < 3'000'000; size = size * 3 % 65'521 + 1) {
      const string part(size, static_cast<char>('a' + size % 26));
      body += part;
      chunks += hex(size) + "\r\n" + part + "\r\n";
    }
    const Response response = ask(server.tcp(), chunked(chunks + "0\r\n\r\n"));
    CHECK(response.status == 200);
    CHECK((response.body == body));
  }
}
