#include "http/loop.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <string_view>

namespace sonicorn::http {
namespace {

class NoExecutor final : public Executor {
 public:
  bool submit(std::unique_ptr<PoolCall>&) override { return false; }
  void submit_owed(std::unique_ptr<PoolCall>) override {}
};

// A loop without apps, and clients that are connected to it.
struct Served {
  routing::Router router;
  config::Limits limits;
  NoExecutor executor;
  std::atomic<std::size_t> open{0};
  std::atomic<const routing::Router*> current{&router};
  Loop loop{current, limits, executor, open};

  // The client's end of a new connection.
  int connect() {
    std::array<int, 2> ends{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) == 0);
    loop.adopt(ends[0], "unix");
    return ends[1];
  }

  void ask(int client) {
    constexpr std::string_view kRequest = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    REQUIRE(::send(client, kRequest.data(), kRequest.size(), 0) ==
            static_cast<ssize_t>(kRequest.size()));
  }
};

TEST_CASE("a connection that never had an answer is not closed to make room") {
  Served served;
  const int fresh = served.connect();
  CHECK_FALSE(served.loop.shed_idle());
  CHECK(served.loop.size() == 1);
  ::close(fresh);
}

TEST_CASE("a connection whose next request has arrived is not closed to make room") {
  Served served;
  const int client = served.connect();
  served.ask(client);
  served.loop.serve_ready();
  served.ask(client);
  CHECK_FALSE(served.loop.shed_idle());
  served.loop.serve_ready();
  CHECK(served.loop.shed_idle());
  CHECK(served.loop.size() == 0);
  ::close(client);
}

TEST_CASE("the connection that is idle for the longest makes room") {
  Served served;
  std::array<int, 3> clients{};
  for (int& client : clients) {
    client = served.connect();
    served.ask(client);
    served.loop.serve_ready();
  }
  CHECK(served.loop.shed_idle());
  std::array<char, 4096> answer{};
  CHECK(::recv(clients[0], answer.data(), answer.size(), 0) > 0);
  CHECK(::recv(clients[0], answer.data(), answer.size(), 0) == 0);
  CHECK(::recv(clients[1], answer.data(), answer.size(), 0) > 0);
  CHECK(::recv(clients[1], answer.data(), answer.size(), 0) < 0);
  for (const int client : clients) ::close(client);
}

}  // namespace
}  // namespace sonicorn::http
