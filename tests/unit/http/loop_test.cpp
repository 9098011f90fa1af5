#include "http/loop.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <string>
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
  Places places;
  std::atomic<const routing::Router*> current{&router};
  Loop loop{current, limits, executor, places};

  // The client's end of a new connection.
  int connect(bool queued = false) {
    std::array<int, 2> ends{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) == 0);
    queued ? loop.queue(ends[0], "unix") : loop.adopt(ends[0], "unix");
    return ends[1];
  }

  // The status of the next answer; 0: there is none yet, -1: there is an end.
  static int status_for(int client) {
    std::array<char, 4096> answer{};
    const ssize_t size = ::recv(client, answer.data(), answer.size(), 0);
    if (size <= 0) return size == 0 ? -1 : 0;
    const std::string_view text(answer.data(), static_cast<std::size_t>(size));
    REQUIRE(text.starts_with("HTTP/1.1 "));
    return std::stoi(std::string(text.substr(9, 3)));
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

TEST_CASE("who is queued takes the place of one that has had its answer") {
  Served served;
  served.places.most = 1;
  const int first = served.connect();
  const int second = served.connect(true);
  served.ask(second);
  served.loop.serve_ready();
  CHECK(served.loop.has_queued());
  CHECK(Served::status_for(second) == 0);
  served.ask(first);
  served.loop.serve_ready();
  CHECK(Served::status_for(first) == 404);
  CHECK(Served::status_for(first) == -1);
  CHECK(Served::status_for(second) == 404);
  CHECK(served.places.open == 1);
  CHECK(served.places.extra == 0);
  ::close(first);
  ::close(second);
}

TEST_CASE("who is queued takes a place that is vacant, and no more than there are") {
  Served served;
  served.places.most = 1;
  const int first = served.connect();
  const int second = served.connect(true);
  const int third = served.connect(true);
  served.ask(third);
  ::close(first);
  served.loop.serve_ready();
  CHECK(served.places.extra == 1);
  // It has gone, too, before it was served.
  ::close(second);
  served.loop.serve_ready();
  CHECK(served.places.extra == 0);
  served.loop.serve_ready();
  CHECK(Served::status_for(third) == 404);
  ::close(third);
}

TEST_CASE("who is queued is refused when all are busy with requests, and waits while one may ask") {
  Served served;
  served.places.most = 1;
  const int first = served.connect();
  const int second = served.connect(true);
  const auto begin = Loop::Clock::now();
  while (Loop::Clock::now() - begin < 2 * Loop::kQueueTime) served.loop.tick();
  CHECK_FALSE(served.loop.shed_extra());
  CHECK(served.loop.has_queued());
  constexpr std::string_view kBegun = "GET / HT";
  REQUIRE(::send(first, kBegun.data(), kBegun.size(), 0) > 0);
  served.loop.serve_ready();
  served.loop.tick();
  CHECK(Served::status_for(second) == 503);
  ::close(first);
  ::close(second);
  served.loop.serve_ready();
  CHECK(served.places.open == 0);
  CHECK(served.places.extra == 0);
}

TEST_CASE("who is queued does not wait for those who ask again and again") {
  Served served;
  served.places.most = 1;
  const int first = served.connect();
  served.ask(first);
  served.loop.serve_ready();
  served.ask(first);
  const int second = served.connect(true);
  const int third = served.connect(true);
  const auto begin = Loop::Clock::now();
  // A third one that waits in the kernel has it decided at once when the server stops.
  CHECK_FALSE(served.loop.shed_extra());
  CHECK(served.loop.shed_extra(true));
  CHECK(Served::status_for(second) == 503);
  while (served.loop.has_queued()) served.loop.tick();
  CHECK(Loop::Clock::now() - begin < Loop::kQueueTimeAtMost);
  CHECK(Served::status_for(third) == 503);
  served.loop.serve_ready();
  CHECK(Served::status_for(first) == 404);
  for (const int client : {first, second, third}) ::close(client);
}

TEST_CASE("who is queued takes the place of one that does not ask at all") {
  Served served;
  served.places.most = 1;
  const int first = served.connect();
  const int second = served.connect(true);
  served.ask(second);
  while (served.loop.has_queued()) served.loop.tick();
  served.loop.serve_ready();
  CHECK(Served::status_for(first) == -1);
  CHECK(Served::status_for(second) == 404);
  ::close(first);
  ::close(second);
}

TEST_CASE("who idles is left a moment where the server goes on, and none when it does not") {
  Served served;
  const int answered = served.connect();
  served.ask(answered);
  served.loop.serve_ready();
  CHECK(Served::status_for(answered) == 404);
  const int fresh = served.connect();
  served.loop.dismiss_idle();
  CHECK(Served::status_for(answered) == 0);
  served.loop.stop(true, [] {});
  CHECK(Served::status_for(answered) == 0);
  served.loop.dismiss_idle();
  CHECK(Served::status_for(answered) == -1);
  CHECK(Served::status_for(fresh) == 0);
  served.ask(fresh);
  served.loop.serve_ready();
  CHECK(Served::status_for(fresh) == 404);
  ::close(answered);
  ::close(fresh);
}

TEST_CASE("who is queued is served when the loop stops") {
  Served served;
  served.places.most = 1;
  const int first = served.connect();
  const int second = served.connect(true);
  served.ask(second);
  bool emptied = false;
  ::close(first);
  served.loop.stop(true, [&] { emptied = true; });
  served.loop.serve_ready();
  CHECK(Served::status_for(second) == 404);
  ::close(second);
  served.loop.serve_ready();
  CHECK(emptied);
  CHECK(served.places.extra == 0);
}

}  // namespace
}  // namespace sonicorn::http
