#include <cstdlib>
#include <random>

#include "support/support.hpp"

// No request, however formed, ends the process or holds up another connection.

using namespace support;
using std::string;
using namespace std::chrono_literals;

namespace {

unsigned seed() {
  const char* wanted = std::getenv("SONICORN_TEST_SEED");
  return wanted != nullptr ? static_cast<unsigned>(std::strtoul(wanted, nullptr, 10))
                           : std::random_device{}();
}

// Well-formed requests, bent at random places.
class Bender {
 public:
  explicit Bender(unsigned from) : random_(from) {}

  std::size_t below(std::size_t bound) {
    return std::uniform_int_distribution<std::size_t>(0, bound - 1)(random_);
  }

  string request() {
    static const string kRequests[] = {
        get("/a/b?c=d", "Accept: application/json\r\nConnection: keep-alive\r\n"),
        post("/pool", "hello"),
        "POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: "
        "chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n",
        "PUT / HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
        "HEAD http://test/x HTTP/1.0\r\nHost: test\r\nConnection: close\r\n\r\n",
    };
    string bytes = kRequests[below(std::size(kRequests))];
    for (std::size_t bends = 1 + below(4); bends > 0; --bends) bend(bytes);
    return bytes;
  }

 private:
  void bend(string& bytes) {
    static const string kSpecial[] = {"\r",
                                      "\n",
                                      "\r\n",
                                      "\r\n\r\n",
                                      string(1, '\0'),
                                      " ",
                                      "\t",
                                      ":",
                                      ";",
                                      "\xff",
                                      "%00",
                                      "0",
                                      "Transfer-Encoding: chunked\r\n",
                                      "Content-Length: 1\r\n",
                                      "99999999999999999999"};
    const std::size_t at = below(bytes.size() + 1);
    const std::size_t size = below(8);
    switch (below(4)) {
      case 0:
        bytes.insert(at, kSpecial[below(std::size(kSpecial))]);
        break;
      case 1:
        bytes.erase(at, size);
        break;
      case 2:
        bytes.insert(at, bytes.substr(below(bytes.size() + 1), size * 4));
        break;
      default:
        if (at < bytes.size()) bytes[at] = static_cast<char>(below(256));
    }
  }

  std::mt19937 random_;
};

string entered_and_gate(const Fifo& entered, const Fifo& gate) {
  return "settings = { entered = \"" + entered.path().string() + "\", gate = \"" +
         gate.path().string() + "\" }";
}

}  // namespace

TEST_SUITE("robustness") {
  TEST_CASE("a thousand bent requests end nothing and hold up nobody") {
    const unsigned from = seed();
    MESSAGE("SONICORN_TEST_SEED=" << from);
    Bender bender(from);
    Server server({.files = {mounted("/", "echo"), mounted("/pool", "echo_pool")}});
    Client other(server.tcp());
    std::vector<Client> lingering;
    for (int i = 0; i < 1000; ++i) {
      Client client(i % 2 == 0 ? server.tcp() : server.unix_socket());
      const string bytes = bender.request();
      const std::size_t cut = bender.below(bytes.size() + 1);
      client.send(std::string_view(bytes).substr(0, cut));
      client.send(std::string_view(bytes).substr(cut));
      if (i % 3 == 0) client.shut_down_sending();
      if (i % 7 == 0) lingering.push_back(std::move(client));
      if (i % 10 == 0) REQUIRE(other.ask(get("/?show=method")).body == "GET");
    }
    CHECK(other.ask(get("/?show=method")).body == "GET");
  }

  TEST_CASE("random bytes end nothing") {
    const unsigned from = seed();
    MESSAGE("SONICORN_TEST_SEED=" << from);
    Bender bender(from);
    Server server({.files = {mounted("/", "echo")}});
    for (int i = 0; i < 200; ++i) {
      string bytes(1 + bender.below(400), '\0');
      for (char& byte : bytes) byte = static_cast<char>(bender.below(256));
      Client client(server.tcp());
      client.send(bytes);
      client.shut_down_sending();
      CHECK(client.read_to_end().size() < 1000);
    }
    CHECK(ask(server.tcp(), get("/")).status == 200);
  }

  TEST_CASE("a client may vanish at any byte of its request") {
    Server server({.files = {mounted("/", "echo")}});
    const string request = post("/", "hello", "Expect: 100-continue\r\n");
    for (std::size_t size = 0; size < request.size(); ++size) {
      for (const Endpoint& endpoint : {server.tcp(), server.unix_socket()}) {
        Client client(endpoint);
        client.send(std::string_view(request).substr(0, size));
        if (size % 2 == 0) client.reset();
      }
    }
    CHECK(ask(server.tcp(), get("/")).status == 200);
  }

  TEST_CASE("a client may vanish while its handler runs") {
    const TemporaryFolder folder;
    const Fifo entered(folder / "entered");
    const Fifo gate(folder / "gate");
    Server server({.toml = app_entry("/", "slow", entered_and_gate(entered, gate)) +
                           app_entry("/echo", "echo")});
    for (int i = 0; i < 4; ++i) {
      Client client(server.tcp());
      client.send(get("/"));
      entered.wait();
      if (i % 2 == 0) client.reset();
    }
    gate.put(4);
    CHECK(ask(server.tcp(), get("/?free")).status == 200);
    CHECK(ask(server.tcp(), get("/echo")).status == 200);
  }

  TEST_CASE("a client may vanish while its answer is sent") {
    const TemporaryFolder folder;
    const Fifo released(folder / "released");
    Server server(
        {.toml = app_entry("/", "big",
                           "settings = { released = \"" + released.path().string() + "\" }")});
    for (int i = 0; i < 6; ++i) {
      Client client(i % 3 == 0 ? server.unix_socket() : server.tcp(), 4096);
      client.send(get("/?bytes=30000000"));
      REQUIRE(client.readable(kPatience));
      if (i % 2 == 0) client.reset();
    }
    // Every answer is given up and its memory released.
    released.wait(6);
    CHECK(ask(server.tcp(), get("/?bytes=5")).body.size() == 5);
  }

  TEST_CASE("a slow reader holds up nobody, and gets every byte") {
    Server server({.files = {mounted("/", "big"), mounted("/echo", "echo")},
                   .arguments = {"--threads", "1"}});
    Client slow(server.tcp(), 4096);
    slow.send(get("/?bytes=30000000"));
    REQUIRE(slow.readable(kPatience));
    for (int i = 0; i < 100; ++i) REQUIRE(ask(server.tcp(), get("/echo?show=path")).body == "/");
    const Response response = slow.read_response();
    REQUIRE(response.body.size() == 30'000'000);
    std::size_t wrong = 0;
    for (std::size_t i = 0; i < response.body.size(); ++i) {
      if (static_cast<unsigned char>(response.body[i]) != i % 251) ++wrong;
    }
    CHECK(wrong == 0);
  }

  TEST_CASE("a handler that blocks holds up no handler that does not") {
    const TemporaryFolder folder;
    const Fifo entered(folder / "entered");
    const Fifo gate(folder / "gate");
    Server server({.toml = "threads = 1\nblocking_threads = 4\n" +
                           app_entry("/slow", "slow", entered_and_gate(entered, gate)) +
                           app_entry("/echo", "echo")});
    std::vector<Client> blocked;
    for (int i = 0; i < 6; ++i) {
      blocked.emplace_back(server.tcp());
      blocked.back().send(get("/slow"));
    }
    entered.wait(4);
    Client client(server.tcp());
    for (int i = 0; i < 100; ++i) REQUIRE(client.ask(get("/echo?show=path")).body == "/");
    gate.put(6);
    for (Client& waiting : blocked) CHECK(waiting.read_response().body == "slow\n");
  }

  TEST_CASE("requests behind a slow one on the same connection wait for their turn") {
    const TemporaryFolder folder;
    const Fifo entered(folder / "entered");
    const Fifo gate(folder / "gate");
    Server server({.toml = app_entry("/slow", "slow", entered_and_gate(entered, gate)) +
                           app_entry("/echo", "echo")});
    Client client(server.tcp());
    client.send(get("/slow") + get("/echo/1?show=path") + post("/echo", "2"));
    entered.wait();
    CHECK(!client.readable(0ms));
    gate.put();
    CHECK(client.read_response().body == "slow\n");
    CHECK(client.read_response().body == "/1");
    CHECK(client.read_response().body == "2");
  }

  TEST_CASE("a flood of pipelined requests that are never read is bounded") {
    Server server({.files = {mounted("/", "echo")}, .arguments = {"--threads", "1"}});
    Client flood(server.tcp(), 4096);
    string requests;
    for (int i = 0; i < 1000; ++i) requests += get("/?show=path");
    // Nobody reads its answers, so at some point the server has to read no more.
    constexpr std::size_t kMuch = 64 << 20;
    std::size_t sent = 0;
    while (sent < kMuch && flood.writable(500ms)) sent += flood.send_some(requests);
    CHECK(sent < kMuch);
    CHECK(ask(server.tcp(), get("/")).status == 200);
  }

  TEST_CASE("many connections that say nothing leave room for those that do") {
    Server server({.files = {mounted("/", "echo")}});
    std::vector<Client> silent;
    for (int i = 0; i < 300; ++i) silent.emplace_back(server.tcp());
    for (int i = 0; i < 300; ++i) silent[static_cast<std::size_t>(i)].send("GET / HTT");
    for (int i = 0; i < 50; ++i) REQUIRE(ask(server.tcp(), get("/")).status == 200);
  }

  TEST_CASE("large bodies cross in both directions at once") {
    Server server({.toml = "[limits]\nbody = 9000000\n" + app_entry("/", "echo") +
                           app_entry("/pool", "echo_pool")});
    string body(8'000'000, '\0');
    for (std::size_t i = 0; i < body.size(); ++i) body[i] = static_cast<char>(i * 7 % 253);
    for (const char* target : {"/", "/pool"}) {
      Client client(server.tcp());
      for (int i = 0; i < 3; ++i) CHECK((client.ask(post(target, body)).body == body));
    }
  }
}
