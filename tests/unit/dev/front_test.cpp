#include "dev/front.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>
#include <functional>
#include <future>
#include <optional>
#include <string>
#include <string_view>
#include <thread>

#include "../app/temporary_folder.hpp"

namespace sonicorn::dev {
namespace {

namespace asio = boost::asio;
using app::TemporaryFolder;
using boost::system::error_code;
using Local = asio::local::stream_protocol;
using Tcp = asio::ip::tcp;

// Whether bytes, a connection or the end are there before it takes far too long.
template <class Socket>
bool is_readable(Socket& socket) {
  pollfd waiting{socket.native_handle(), POLLIN, 0};
  return ::poll(&waiting, 1, 20'000) == 1;
}

// Exactly the bytes up to and with `end`, or those that come.
template <class Socket>
std::string read_until(Socket& socket, std::string_view end) {
  std::string bytes;
  char byte = 0;
  while (!bytes.ends_with(end) && is_readable(socket) &&
         ::recv(socket.native_handle(), &byte, 1, 0) == 1) {
    bytes += byte;
  }
  return bytes;
}

template <class Socket>
void write(Socket& socket, std::string_view bytes) {
  error_code ignored;
  asio::write(socket, asio::buffer(bytes.data(), bytes.size()), ignored);
}

// A front, and a server behind it that a test plays itself.
class Stage {
 public:
  using Served = std::function<void(Local::socket&, std::string head)>;

  Stage() {
    const int descriptor = ::fcntl(listener_.native_handle(), F_DUPFD_CLOEXEC, 3);
    on_thread([this, descriptor] { front_.emplace(io_, descriptor); });
  }
  ~Stage() {
    on_thread([this] { front_.reset(); });
    guard_.reset();
  }

  void show(const Situation& situation) {
    on_thread([&] { front_->show(situation); });
  }
  void show_server() { show({.upstream = path_}); }

  // The next connection to the server gets this.
  void serve(Served served) {
    server_ = std::jthread([this, served = std::move(served)] {
      if (!is_readable(upstream_)) return;
      Local::socket socket = upstream_.accept();
      served(socket, read_until(socket, "\r\n\r\n"));
    });
  }
  void serve(std::string answer) {
    serve([answer = std::move(answer)](Local::socket& socket, const std::string&) {
      write(socket, answer);
    });
  }

  // What it was told is the test's to read from then on.
  void await_server() { server_.join(); }

  Tcp::socket connect(std::string_view request) {
    Tcp::socket socket(client_io_);
    socket.connect(listener_.local_endpoint());
    write(socket, request);
    return socket;
  }

  std::string ask(std::string_view request) {
    Tcp::socket socket = connect(request);
    std::string answer;
    char byte = 0;
    while (is_readable(socket) && ::recv(socket.native_handle(), &byte, 1, 0) == 1) answer += byte;
    return answer;
  }

 private:
  void on_thread(const std::function<void()>& action) {
    std::promise<void> done;
    asio::post(io_, [&] {
      action();
      done.set_value();
    });
    done.get_future().get();
  }

  TemporaryFolder folder_;
  std::string path_ = folder_ / "server.sock";
  asio::io_context client_io_;
  Tcp::acceptor listener_{client_io_, Tcp::endpoint(asio::ip::address_v4::loopback(), 0)};
  Local::acceptor upstream_{client_io_, Local::endpoint(path_)};
  asio::io_context io_;
  asio::executor_work_guard<asio::io_context::executor_type> guard_{io_.get_executor()};
  std::optional<Front> front_;
  std::jthread server_;
  std::jthread thread_{[this] { io_.run(); }};
};

constexpr std::string_view kGet = "GET /a?b=c HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\n\r\n";

bool has(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

std::string body_of(const std::string& answer) {
  return answer.substr(answer.find("\r\n\r\n") + 4);
}

TEST_CASE("while there is no server each request gets the notice") {
  Stage stage;
  stage.show({.status = 500, .title = "It does not build", .text = "a < b"});
  const std::string answer = stage.ask(kGet);
  CHECK(answer.starts_with("HTTP/1.1 500 Internal Server Error\r\n"));
  CHECK(has(answer, "a &lt; b"));
  CHECK(has(answer, "Content-Length: " + std::to_string(body_of(answer).size()) + "\r\n"));
  CHECK(body_of(stage.ask("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n")).empty());
}

TEST_CASE("a page gets the script, and its length is right") {
  Stage stage;
  stage.show_server();
  stage.serve(
      "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 14\r\nX-A: b\r\n\r\n"
      "<p>hi</p></bod");
  const std::string answer = stage.ask(kGet);
  CHECK(answer.starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(has(answer, "X-A: b\r\n"));
  CHECK(has(answer, "Content-Length: " + std::to_string(body_of(answer).size()) + "\r\n"));
  CHECK(body_of(answer).starts_with("<p>hi</p></bod<script src="));
}

TEST_CASE("a page in chunks gets the script, too") {
  Stage stage;
  stage.show_server();
  stage.serve(
      "HTTP/1.1 200 OK\r\nContent-Type: Text/HTML; charset=utf-8\r\n"
      "Transfer-Encoding: chunked\r\n\r\n3\r\n<p>\r\n7\r\n</body>\r\n0\r\n\r\n");
  const std::string answer = stage.ask(kGet);
  CHECK_FALSE(has(answer, "chunked"));
  CHECK(body_of(answer).starts_with("<p><script src="));
  CHECK(body_of(answer).ends_with("</script>\n</body>"));
}

TEST_CASE("what is compressed, or no page, goes through as it is") {
  for (const std::string_view head :
       {"Content-Type: text/html\r\nContent-Encoding: gzip\r\n", "Content-Type: text/plain\r\n"}) {
    Stage stage;
    stage.show_server();
    stage.serve("HTTP/1.1 200 OK\r\n" + std::string(head) + "Content-Length: 9\r\n\r\nx</body>y");
    CHECK(body_of(stage.ask(kGet)) == "x</body>y");
  }
}

TEST_CASE("a request reaches the server with its body, and without what the front has settled") {
  Stage stage;
  stage.show_server();
  std::string head;
  std::string body;
  stage.serve([&](Local::socket& socket, const std::string& begun) {
    head = begun;
    body = read_until(socket, "hello");
    write(socket, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
  });
  const std::string answer = stage.ask(
      "POST /a HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\nIf-None-Match: \"1\"\r\n"
      "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n");
  stage.await_server();
  CHECK(answer.starts_with("HTTP/1.1 201 Created\r\n"));
  CHECK(head.starts_with("POST /a HTTP/1.1\r\n"));
  CHECK(has(head, "Host: x\r\n"));
  CHECK(has(head, "Content-Length: 5\r\n"));
  CHECK(has(head, "Connection: close\r\n"));
  CHECK_FALSE(has(head, "Expect"));
  CHECK_FALSE(has(head, "If-None-Match"));
  CHECK_FALSE(has(head, "chunked"));
  CHECK(body == "hello");
}

TEST_CASE("an answer that comes bit by bit is shown bit by bit") {
  Stage stage;
  stage.show_server();
  std::promise<void> seen;
  stage.serve([&](Local::socket& socket, const std::string&) {
    write(socket, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\none\n");
    seen.get_future().wait();
    write(socket, "two\n");
  });
  Tcp::socket client = stage.connect(kGet);
  CHECK(has(read_until(client, "one\n"), "one\n"));
  seen.set_value();
  CHECK(has(read_until(client, "two\n"), "two\n"));
}

TEST_CASE("after an upgrade both sides are heard") {
  Stage stage;
  stage.show_server();
  stage.serve([](Local::socket& socket, const std::string& head) {
    CHECK(has(head, "Connection: Upgrade\r\n"));
    write(socket, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
    write(socket, "heard " + read_until(socket, "ping\n"));
  });
  Tcp::socket client =
      stage.connect("GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n");
  CHECK(read_until(client, "\r\n\r\n").starts_with("HTTP/1.1 101 "));
  write(client, "ping\n");
  CHECK(read_until(client, "ping\n") == "heard ping\n");
}

TEST_CASE("a server that is not there, or ends instead of answering, is a notice") {
  Stage stage;
  stage.show({.upstream = "/nowhere/server.sock"});
  CHECK(stage.ask(kGet).starts_with("HTTP/1.1 503 "));
  stage.show_server();
  stage.serve([](Local::socket&, const std::string&) {});
  const std::string answer = stage.ask(kGet);
  CHECK(answer.starts_with("HTTP/1.1 502 "));
  CHECK(has(answer, "/__sonicorn/dev.js?"));
}

TEST_CASE("a client that goes away is gone for the server, too") {
  Stage stage;
  stage.show_server();
  std::promise<void> asked;
  std::promise<bool> ended;
  stage.serve([&](Local::socket& socket, const std::string&) {
    asked.set_value();
    char byte = 0;
    ended.set_value(is_readable(socket) && ::recv(socket.native_handle(), &byte, 1, 0) == 0);
  });
  {
    const Tcp::socket client = stage.connect(kGet);
    asked.get_future().wait();
  }
  CHECK(ended.get_future().get());
}

TEST_CASE("an open page hears of each new version, and a page knows its own") {
  Stage stage;
  stage.show({.title = "one"});
  Tcp::socket page = stage.connect("GET /__sonicorn/events HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(has(read_until(page, "\r\n\r\n"), "Content-Type: text/event-stream\r\n"));
  CHECK(has(read_until(page, "\n\n"), "retry: "));
  const auto version = [&page] {
    const std::string event = read_until(page, "\n\n");
    REQUIRE(event.starts_with("data: "));
    return event.substr(6, event.size() - 8);
  };
  const std::string first = version();
  CHECK(has(stage.ask(kGet), "dev.js?" + first + "\""));
  stage.show({.title = "two"});
  const std::string second = version();
  CHECK(second != first);
  CHECK(has(stage.ask(kGet), "dev.js?" + second + "\""));
}

TEST_CASE("what is no request is refused") {
  Stage stage;
  stage.show_server();
  CHECK(stage.ask("hello\r\n\r\n").starts_with("HTTP/1.1 400 "));
}

}  // namespace
}  // namespace sonicorn::dev
