#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <sstream>
#include <thread>

#include "support/support.hpp"

// Every limit on what a client may send and on how long it may take.

using namespace support;
using std::string;
using namespace std::chrono_literals;

namespace {

string fields(int count, std::size_t value_size = 1) {
  string lines;
  for (int i = 0; i < count; ++i) {
    lines += "X-" + std::to_string(i) + ": " + string(value_size, 'v') + "\r\n";
  }
  return lines;
}

// Its answer's status, when the request does not even end.
int status_of_unfinished(const Server& server, const string& bytes) {
  Client client(server.tcp());
  client.send(bytes);
  const Response response = client.read_response();
  CHECK(client.closes());
  return response.status;
}

std::chrono::milliseconds since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                               begin);
}

}  // namespace

TEST_SUITE("limits") {
  TEST_CASE("the default limits of a request's head") {
    // Times are not what this is about, and byte by byte takes some.
    Server server({.toml = "[limits]\nhead_time = 600\n" + app_entry("/", "echo")});
    check_exchanges(
        server,
        {
            served("a long request line", get("/" + string(8'000, 'a'))),
            refused("a request line that is too long", get("/" + string(8'192, 'a')), {414}),
            served("a long field", get("/", "X-A: " + string(8'000, 'v') + "\r\n")),
            refused("a field that is too long", get("/", "X-A: " + string(8'192, 'v') + "\r\n"),
                    {431}),
            served("a hundred fields", get("/", fields(99))),
            refused("a hundred and one fields", get("/", fields(100)), {431}),
            served("a large head", get("/", fields(4, 7'500))),
            refused("a head that is too large", get("/", fields(5, 7'500)), {431}),
        });
  }

  TEST_CASE("a limit is enforced before what exceeds it has ended") {
    Server server({.files = {mounted("/", "echo")}});
    CHECK(status_of_unfinished(server, "GET /" + string(9'000, 'a')) == 414);
    CHECK(status_of_unfinished(server, "GET / HTTP/1.1\r\nX-A: " + string(9'000, 'v')) == 431);
    CHECK(status_of_unfinished(server, "GET / HTTP/1.1\r\n" + fields(6, 7'500)) == 431);
    CHECK(status_of_unfinished(server, "GET / HTTP/1.1\r\n" + fields(120)) == 431);
    CHECK(status_of_unfinished(
              server, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1048577\r\n\r\n") == 413);
  }

  TEST_CASE("a request line of any length without an end is cut off") {
    Server server({.files = {mounted("/", "echo")}});
    Client client(server.tcp());
    client.send(string(1'000'000, 'A'));
    const int status = client.read_response().status;
    CHECK((status == 414 || status == 400 || status == 501));
    CHECK(ask(server.tcp(), get("/")).status == 200);
  }

  TEST_CASE("each limit of the head has its setting") {
    Server server({.toml = "[limits]\nrequest_line = 300\nfield = 256\nfields = 4\nhead = 600\n" +
                           app_entry("/", "echo")});
    check_exchanges(server,
                    {
                        served("within all", get("/" + string(200, 'a'), fields(3))),
                        refused("request line", get("/" + string(300, 'a')), {414}),
                        refused("field", get("/", "X-A: " + string(256, 'v') + "\r\n"), {431}),
                        refused("fields", get("/", fields(4)), {431}),
                        refused("head", get("/" + string(200, 'a'), fields(2, 200)), {431}),
                    });
  }

  TEST_CASE("the body's limit is exact, and an app may have its own") {
    Server server({.toml = "[limits]\nbody = 10\n" + app_entry("/", "echo") +
                           app_entry("/large", "echo", "max_body = 20") +
                           app_entry("/small", "echo_pool", "max_body = 5")});
    const auto status = [&](const string& target, std::size_t size) {
      return ask(server.tcp(), post(target, string(size, 'b'))).status;
    };
    CHECK(status("/", 10) == 200);
    CHECK(status("/", 11) == 413);
    CHECK(status("/large", 20) == 200);
    CHECK(status("/large", 21) == 413);
    CHECK(status("/small", 5) == 200);
    CHECK(status("/small", 6) == 413);
  }

  TEST_CASE("a connection has as many requests as the setting says") {
    Server server({.toml = "[limits]\nkeep_alive_requests = 3\n" + app_entry("/", "echo")});
    Client client(server.tcp());
    client.send(get("/") + get("/") + get("/") + get("/"));
    const auto responses = client.read_responses();
    REQUIRE(responses.size() == 3);
    CHECK(responses[1].field("Connection") != "close");
    CHECK(responses[2].field("Connection") == "close");
  }

  TEST_CASE("a head that drips is cut off with 408") {
    Server server({.toml = "[limits]\nhead_time = 1\n" + app_entry("/", "echo")});
    int bytes = 0;
    // On a busy machine this may come to send its second byte when it is too late.
    for (int attempt = 0; attempt < 10 && bytes == 0; ++attempt) {
      const auto begin = std::chrono::steady_clock::now();
      Client dripping(server.unix_socket());
      dripping.send("GET / HTTP/1.1\r\n");
      for (; !dripping.readable(100ms) && since(begin) < kPatience; ++bytes) dripping.send("X");
      CHECK(dripping.read_response().status == 408);
      CHECK(dripping.closes());
      CHECK(since(begin) > 800ms);
    }
    CHECK(bytes > 0);
  }

  TEST_CASE("a connection on which nothing is ever asked is closed without a word") {
    Server server({.toml = "[limits]\nkeep_alive_time = 1\n" + app_entry("/", "echo")});
    const auto begin = std::chrono::steady_clock::now();
    Client silent(server.tcp());
    CHECK(silent.closes());
    CHECK(since(begin) > 800ms);
  }

  TEST_CASE("the time of a head begins anew with each request") {
    Server server(
        {.toml = "[limits]\nhead_time = 1\nkeep_alive_time = 60\n" + app_entry("/", "echo")});
    Client client(server.tcp());
    CHECK(client.ask(get("/")).status == 200);
    CHECK(!client.readable(1500ms));
    CHECK(client.ask(get("/")).status == 200);
    client.send("GET / HT");
    CHECK(client.read_response().status == 408);
    CHECK(client.closes());
  }

  TEST_CASE("a body below its least rate is cut off with 408") {
    Server server(
        {.toml = "[limits]\nbody_grace = 0.5\nbody_rate = 1000000\n" + app_entry("/", "echo")});
    for (const string& head :
         {string("Content-Length: 1000"), string("Transfer-Encoding: chunked")}) {
      Client client(server.tcp());
      client.send("POST / HTTP/1.1\r\nHost: a\r\n" + head + "\r\n\r\n5");
      CHECK(client.read_response().status == 408);
      CHECK(client.closes());
    }
  }

  TEST_CASE("an idle connection is closed without a word") {
    // Long enough for the request to come in time on a busy machine.
    Server server({.toml = "[limits]\nkeep_alive_time = 3\n" + app_entry("/", "echo")});
    Client client(server.tcp());
    const auto begin = std::chrono::steady_clock::now();
    CHECK(client.ask(get("/")).status == 200);
    CHECK(client.closes());
    CHECK(since(begin) > 2800ms);
  }

  TEST_CASE("a peer that reads nothing is given up, and its answer released") {
    TemporaryFolder folder;
    const Fifo released(folder / "released");
    Server server(
        {.toml = "[limits]\nwrite_time = 1\n" +
                 app_entry("/", "big",
                           "settings = { released = \"" + released.path().string() + "\" }")});
    Client client(server.tcp(), 4096);
    client.send(get("/?bytes=67108864"));
    released.wait();
    CHECK(client.read_to_end().size() < 67'108'864);
    CHECK(ask(server.tcp(), get("/?bytes=10")).body.size() == 10);
  }

  TEST_CASE("a handler on the pool that outlives the request time gets its client a 503") {
    TemporaryFolder folder;
    const Fifo gate(folder / "gate");
    Server server(
        {.toml = "[limits]\nrequest_time = 0.5\n" +
                 app_entry("/", "slow", "settings = { gate = \"" + gate.path().string() + "\" }")});
    Client client(server.tcp());
    client.send(get("/"));
    CHECK(client.read_response().status == 503);
    gate.put();
    // On a busy machine a handler that waits for nothing may take that long, too.
    const auto begin = std::chrono::steady_clock::now();
    int status = 0;
    while (status != 200 && since(begin) < kPatience) {
      status = ask(server.tcp(), get("/?free")).status;
    }
    CHECK(status == 200);
  }

  TEST_CASE("what does not fit into the queue gets 503 at once, with Retry-After") {
    TemporaryFolder folder;
    const Fifo entered(folder / "entered");
    const Fifo gate(folder / "gate");
    Server server({.toml = "blocking_threads = 1\n[limits]\nqueue = 1\n" +
                           app_entry("/", "slow",
                                     "settings = { entered = \"" + entered.path().string() +
                                         "\", gate = \"" + gate.path().string() + "\" }")});
    Client running(server.tcp());
    running.send(get("/"));
    entered.wait();
    // The thread is busy and one place is free: of two more, one waits and one is refused.
    Client a(server.tcp());
    Client b(server.tcp());
    a.send(get("/"));
    b.send(get("/"));
    const bool a_refused = a.readable(0ms) || (!b.readable(0ms) && [&] {
                             const auto deadline = std::chrono::steady_clock::now() + kPatience;
                             while (std::chrono::steady_clock::now() < deadline) {
                               if (a.readable(5ms)) return true;
                               if (b.readable(5ms)) return false;
                             }
                             return false;
                           }());
    Client& refused_client = a_refused ? a : b;
    Client& waiting = a_refused ? b : a;
    const Response refusal = refused_client.read_response();
    CHECK(refusal.status == 503);
    CHECK(!refusal.field("Retry-After").empty());
    CHECK(!waiting.readable(0ms));
    gate.put(2);
    CHECK(running.read_response().status == 200);
    CHECK(waiting.read_response().status == 200);
  }

  TEST_CASE("connections that idle make room for new ones") {
    Server server({.toml = "[limits]\nconnections = 4\n" + app_entry("/", "echo")});
    std::vector<Client> clients;
    for (int i = 0; i < 12; ++i) {
      clients.emplace_back(server.tcp());
      CHECK(clients.back().ask(get("/")).status == 200);
    }
  }

  TEST_CASE("10,000 connections that idle stay open on one worker, and who asks is answered") {
    rlimit own{};
    ::getrlimit(RLIMIT_NOFILE, &own);
    const DescriptorLimit raised(own.rlim_max);
    const auto possible = static_cast<std::size_t>(own.rlim_max) * 3 / 4;
    const std::size_t count = std::min<std::size_t>(has_sanitizer() ? 1'000 : 10'000, possible);
    if (count < 1'000) MESSAGE("only " << count << " connections: the limit of descriptors is low");
    Server server({.toml = "workers = 1\nthreads = 1\n[limits]\nkeep_alive_time = 600\n" +
                           app_entry("/", "echo"),
                   .descriptors = own.rlim_max});
    std::vector<Client> clients;
    clients.reserve(count);
    while (clients.size() < count) {
      clients.emplace_back(server.tcp());
      REQUIRE(clients.back().ask(get("/")).status == 200);
    }
    // Nobody had to go for somebody else.
    for (Client& client : clients) REQUIRE(client.ask(get("/?show=method")).body == "GET");
    CHECK(ask(server.tcp(), get("/")).status == 200);
  }

  TEST_CASE("64 descriptors serve 150 keep-alive clients") {
    Server server({.files = {mounted("/", "echo")}, .descriptors = 64});
    std::vector<Client> clients;
    for (int i = 0; i < 150; ++i) {
      clients.emplace_back(server.tcp());
      REQUIRE(clients.back().ask(get("/")).status == 200);
    }
    // Who waits for descriptors does not spin, and does not fill the log.
    const auto ticks = [&] {
      const string stat = stat_of(server.worker());
      std::istringstream fields(stat.substr(stat.rfind(')') + 2));
      string skipped;
      for (int i = 0; i < 11; ++i) fields >> skipped;
      long user = 0;
      long system = 0;
      fields >> user >> system;
      return user + system;
    };
    const auto lines = [&] {
      const string log = server.log();
      return std::count(log.begin(), log.end(), '\n');
    };
    const long ticks_before = ticks();
    const long lines_before = lines();
    std::this_thread::sleep_for(2s);  // what is measured
    CHECK((ticks() - ticks_before) * 1000 / ::sysconf(_SC_CLK_TCK) < 500);
    CHECK(lines() - lines_before <= 3);
    for (int i = 0; i < 20; ++i) CHECK(ask(server.tcp(), get("/")).status == 200);
  }

  TEST_CASE("64 descriptors serve 150 clients that come at once and keep their connections") {
    Server server({.files = {mounted("/", "echo")}, .descriptors = 64});
    for (int round = 0; round < 3; ++round) {
      std::vector<Client> clients;
      for (int i = 0; i < 150; ++i) clients.emplace_back(server.tcp());
      for (Client& client : clients) client.send(get("/"));
      for (Client& client : clients) CHECK(client.read_response().status == 200);
    }
  }
}
