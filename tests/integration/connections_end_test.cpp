#include <fcntl.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include <cerrno>
#include <optional>
#include <sstream>
#include <stdexcept>
#include <system_error>

#include "support/support.hpp"

// How connections end, and that what one client or app does stays with it: neither its end, nor its
// bytes, its children or its errors reach another.

using namespace support;
using std::string;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t kBigBody = 8 * 1024 * 1024;

string chunked(std::string_view body) {
  std::ostringstream request;
  request << "POST / HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n"
          << std::hex << body.size() << "\r\n"
          << body << "\r\n0\r\n\r\n";
  return request.str();
}

// Returns when the whole process stands still.
void halt(pid_t process) {
  ::kill(process, SIGSTOP);
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (std::chrono::steady_clock::now() < deadline) {
    bool all = true;
    for (const auto& thread :
         std::filesystem::directory_iterator("/proc/" + std::to_string(process) + "/task")) {
      // "PID (NAME) STATE ..."
      all = all && read_file(thread.path() / "stat").find(") T ") != string::npos;
    }
    if (all) return;
  }
  throw std::runtime_error("the process does not halt");
}

// How many bytes of what a client on a Unix socket sent the server has not read.
int unread(const Client& client) {
  int bytes = 0;
  if (::ioctl(client.descriptor(), SIOCOUTQ, &bytes) != 0) {
    throw std::system_error(errno, std::generic_category(), "SIOCOUTQ");
  }
  return bytes;
}

// How many descriptors a process watches with epoll; twice those of a set that it holds twice.
std::size_t watched_by(pid_t process) {
  std::size_t count = 0;
  for (const auto& set :
       std::filesystem::directory_iterator("/proc/" + std::to_string(process) + "/fdinfo")) {
    for (const string& line : read_lines(set.path())) count += line.starts_with("tfd:") ? 1 : 0;
  }
  return count;
}

// Whether programs that this test executes, so the server too, inherit the descriptor.
bool inheritable_here(int fd) {
  const int flags = ::fcntl(fd, F_GETFD);
  return flags != -1 && (flags & FD_CLOEXEC) == 0;
}

// A connection on which the end of a request and the begin of the next always travel together.
class Pipelining {
 public:
  Pipelining(const Endpoint& endpoint, string request, std::size_t cut)
      : client_(endpoint), request_(std::move(request)), cut_(cut) {
    client_.send(request_.substr(0, cut_));
  }

  // Ends the request and begins the next. False when the answer is not a 200.
  bool proceed() {
    const auto begun = std::exchange(begun_, std::chrono::steady_clock::now());
    bool served = false;
    try {
      served = client_.send(request_.substr(cut_) + request_.substr(0, cut_)) &&
               client_.read_response().status == 200;
    } catch (const std::runtime_error&) {
      // Closed before its answer.
    }
    taken_ = std::chrono::steady_clock::now() - begun;
    return served;
  }

  // From before the begin of the last request was sent until it was answered.
  std::chrono::steady_clock::duration taken() const { return taken_; }

 private:
  std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::duration taken_{};
  Client client_;
  string request_;
  std::size_t cut_;
};

// Whether all these proceed for that long; nothing when one failed that was itself as slow as
// `slow`.
std::optional<bool> all_proceed(std::vector<Pipelining>& clients, std::chrono::milliseconds time,
                                std::chrono::milliseconds slow) {
  const auto end = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < end) {
    for (Pipelining& client : clients) {
      if (client.proceed()) continue;
      if (client.taken() >= slow) return std::nullopt;
      return false;
    }
  }
  return true;
}

}  // namespace

TEST_SUITE("connections_end") {
  TEST_CASE("a connection is shed for a new one only after its request was answered") {
    Server server({.toml = "threads = 1\n[limits]\nconnections = 20\n" + app_entry("/", "echo")});
    std::vector<Client> idle;
    for (int i = 0; i < 20; ++i) {
      idle.emplace_back(server.tcp());
      REQUIRE(idle.back().ask(get("/")).status == 200);
    }
    // What comes while the server stands still is one batch to it.
    halt(server.worker());
    std::vector<Client> newcomers;
    for (int i = 0; i < 4; ++i) newcomers.emplace_back(server.tcp());
    for (Client& client : idle) client.send(get("/"));
    for (Client& client : newcomers) client.send(get("/"));
    ::kill(server.worker(), SIGCONT);
    for (Client& client : idle) CHECK(client.read_response().status == 200);
    for (Client& client : newcomers) CHECK(client.read_response().status == 200);
    CHECK(ask(server.tcp(), get("/")).status == 200);
  }

  TEST_CASE("a stalled echo of a chunked body is the client's own bytes to the last") {
    constexpr std::size_t kBody = 20'000;
    constexpr int kMost = 1'000;
    Server server({.toml = "threads = 1\n" + app_entry("/", "echo")});
    Client other(server.unix_socket());
    Client slow(server.unix_socket());
    int sent = 0;
    while (unread(slow) == 0 && sent < kMost) {
      slow.send(chunked(string(kBody, 'A')));
      ++sent;
      // The first of these is looked at together with the other's bytes or after them, the second
      // later than that. What is unread then, the server does not want.
      REQUIRE(other.ask(get("/")).status == 200);
      REQUIRE(other.ask(get("/")).status == 200);
    }
    REQUIRE(unread(slow) > 0);
    for (int i = 0; i < 3; ++i) {
      CHECK(other.ask(chunked(string(kBody, 'B'))).body == string(kBody, 'B'));
    }
    for (int i = 0; i < sent; ++i) {
      const string body = slow.read_response().body;
      REQUIRE(body.size() == kBody);
      REQUIRE(body.find_first_not_of('A') == string::npos);
    }
  }

  TEST_CASE("a child that an app forked keeps no closed connection alive in the server") {
    Server server({.toml = "threads = 1\n" + app_entry("/", "forks")});
    Client witness(server.tcp());
    REQUIRE(witness.ask(get("/")).status == 200);
    const std::size_t before = watched_by(server.worker());
    REQUIRE(before > 0);
    Client client(server.tcp());
    REQUIRE(client.ask(get("/?fork")).status == 200);
    CHECK(watched_by(server.worker()) > before);
    REQUIRE(client.ask(get("/", "Connection: close\r\n")).status == 200);
    // The thread has closed the connection when it answers what came after.
    REQUIRE(witness.ask(get("/")).status == 200);
    CHECK(watched_by(server.worker()) == before);
    CHECK(client.closes());
    for (int i = 0; i < 100; ++i) {
      REQUIRE(ask(server.tcp(), get("/")).status == 200);
      REQUIRE(witness.ask(get("/")).status == 200);
    }
  }

  TEST_CASE("who pipelines steadily is not timed out by the clock of an earlier request") {
    Server server({.toml = "threads = 1\n[limits]\nhead_time = 1\nbody_grace = 1\n"
                           "body_rate = 500\n" +
                           app_entry("/", "echo")});
    const string body(100, 'x');
    // On a busy machine a client may come too late by itself, which says nothing of the server.
    std::optional<bool> proceeded;
    for (int attempt = 0; attempt < 10 && !proceeded; ++attempt) {
      std::vector<Pipelining> clients;
      clients.emplace_back(server.tcp(), get("/"), 10);
      clients.emplace_back(server.tcp(), post("/", body), post("/", body).size() - 20);
      clients.emplace_back(server.tcp(), chunked(body), chunked(body).size() - 30);
      proceeded = all_proceed(clients, 2500ms, 900ms);
    }
    CHECK(proceeded == true);
  }

  TEST_CASE("the last answer arrives whole although more of the client waits unread") {
    const std::pair<string, string> ends[] = {
        {"[limits]\nkeep_alive_requests = 1\n", get("/")},
        {"", get("/", "Connection: close\r\n")},
    };
    for (const auto& end : ends) {
      const auto& [limits, request] = end;
      CAPTURE(end.second);
      const TemporaryFolder folder;
      const Fifo entered(folder / "entered");
      const Fifo gate(folder / "gate");
      Server server(
          {.toml = limits + app_entry("/", "big_gated",
                                      "settings = { entered = \"" + entered.path().string() +
                                          "\", gate = \"" + gate.path().string() + "\" }")});
      Client client(server.tcp(), 65'536);
      client.send(request);
      entered.wait();
      client.send(get("/"));
      gate.put();
      const Response response = client.read_response();
      CHECK(response.field("Connection") == "close");
      CHECK(response.body.size() == kBigBody);
      CHECK(client.read_to_end().empty());
    }
  }

  TEST_CASE("a met expectation beside an unmet one is refused with 417, in any order") {
    Server server({.files = {mounted("/", "echo")}});
    for (const char* lines : {
             "Expect: 100-continue\r\nExpect: other\r\n",
             "Expect: other\r\nExpect: 100-continue\r\n",
             "Expect: 100-continue\r\nExpect: other\r\nExpect: 100-continue\r\n",
             "Expect: other, 100-continue\r\n",
             "Expect: 100-continue, other\r\n",
         }) {
      CAPTURE(string(lines));
      for (const string& method : {string("GET"), string("POST")}) {
        Client client(server.tcp());
        client.send(method + " / HTTP/1.1\r\nHost: test\r\nContent-Length: 5\r\n" + lines + "\r\n");
        CHECK(client.read_response().status == 417);
        CHECK(client.interim() == 0);
      }
    }
  }

  TEST_CASE("a program that an app executes inherits no descriptor of the server") {
    Server server({.files = {mounted("/", "lists_descriptors")}});
    Client idle(server.unix_socket());
    const Response response = ask(server.tcp(), get("/"));
    REQUIRE(response.status == 200);
    std::istringstream lines(response.body);
    int listed = 0;
    for (string line; std::getline(lines, line);) {
      const std::size_t arrow = line.find(" -> ");
      if (arrow == string::npos) continue;
      ++listed;
      const int fd = std::stoi(line.substr(line.rfind(' ', arrow - 1)));
      // The folder is the one that the program itself reads.
      const bool own = fd <= STDERR_FILENO || line.substr(arrow + 4).starts_with("/proc/");
      CHECK_MESSAGE((own || inheritable_here(fd)), line);
    }
    CHECK(listed >= 3);
  }

  TEST_CASE("the text of a call that went well is not logged with another app's failure") {
    for (const char* name : {"leaves_error", "leaves_error_pool"}) {
      CAPTURE(string(name));
      Server server({.toml = "threads = 1\nblocking_threads = 1\n" +
                             app_entry("/first", name, "name = \"first\"") +
                             app_entry("/second", name, "name = \"second\"")});
      CHECK(ask(server.tcp(), get("/first")).body == "fine\n");
      CHECK(ask(server.tcp(), get("/second?fail")).status == 500);
      CHECK(server.stop().status == 0);
      CHECK(server.log().find("app second: on_request failed") != string::npos);
      CHECK(server.log().find("secret") == string::npos);
    }
  }
}
