#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "support/support.hpp"

// Where a server listens, what it prints of that, and what it says when it cannot.

using namespace support;
using std::string;

namespace {

bool has_ipv6_loopback() {
  const int fd = ::socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_addr = in6addr_loopback;
  const bool bound =
      fd >= 0 && ::bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  if (fd >= 0) ::close(fd);
  return bound;
}

// The lines that are errors or tell of the failure: all that is on standard error.
long lines_of(const string& text) { return std::count(text.begin(), text.end(), '\n'); }

}  // namespace

TEST_SUITE("bind") {
  TEST_CASE("port 0 is a free port, printed and logged") {
    Server server({.files = {mounted("/", "echo")}, .binds = {"127.0.0.1:0"}});
    REQUIRE(server.listening().size() == 1);
    CHECK(server.tcp().host == "127.0.0.1");
    CHECK(std::stoi(server.tcp().port) > 0);
    CHECK(ask(server.tcp(), get("/?show=method")).body == "GET");
    CHECK(server.process().wait_for_errors(server.tcp().port));
  }

  TEST_CASE("several binds serve the same apps") {
    const TemporaryFolder folder;
    Server server(
        {.files = {mounted("/", "echo")},
         .binds = {"127.0.0.1:0", "127.0.0.1:0", "unix:" + (folder / "socket").string()}});
    CHECK(server.listening().size() == 3);
    CHECK(ask(server.tcp(), get("/?show=remote")).body == "127.0.0.1");
    CHECK(ask(server.unix_socket(), get("/?show=remote")).body == "unix");
  }

  TEST_CASE("IPv6") {
    if (!has_ipv6_loopback()) {
      MESSAGE("this machine has no IPv6 loopback: skipped");
      return;
    }
    Server server({.files = {mounted("/", "echo")}, .binds = {"[::1]:0"}});
    CHECK(server.tcp().host == "::1");
    CHECK(ask(server.tcp(), get("/?show=remote")).body == "::1");
  }

  TEST_CASE("a port in use: one sentence, and no start") {
    Server server({.files = {mounted("/", "echo")}});
    const string address = "127.0.0.1:" + server.tcp().port;
    const Outcome outcome = run_sonicorn({"serve", "--bind", address, fixture("echo")});
    CHECK(outcome.ending.status > 0);
    CHECK(outcome.output.find("Listening") == string::npos);
    CHECK(outcome.errors.find(address) != string::npos);
    CHECK(lines_of(outcome.errors) == 1);
    CHECK(ask(server.tcp(), get("/")).status == 200);
  }

  TEST_CASE("an app is not started when the server cannot listen") {
    const TemporaryFolder folder;
    Server server({.files = {mounted("/", "echo")}});
    write_file(folder / "c.toml",
               "bind = \"127.0.0.1:" + server.tcp().port + "\"\n" +
                   app_entry("/", "journal",
                             "settings = { journal = \"" + (folder / "journal").string() + "\" }"));
    CHECK(run_sonicorn({"serve", "-c", folder / "c.toml"}).ending.status > 0);
    const auto lines = read_lines(folder / "journal");
    const auto calls = [&](const string& name) {
      return std::count_if(lines.begin(), lines.end(),
                           [&](const string& line) { return line.find(name) != string::npos; });
    };
    CHECK(calls("\"call\":\"start\"") == 0);
    CHECK(calls("\"call\":\"shutdown\"") == 0);
  }

  TEST_CASE("a Unix socket in use is not taken away") {
    Server server({.files = {mounted("/", "echo")}});
    const string address = "unix:" + server.unix_socket().path.string();
    const Outcome outcome = run_sonicorn({"serve", "--bind", address, fixture("echo")});
    CHECK(outcome.ending.status > 0);
    CHECK(outcome.errors.find(server.unix_socket().path.string()) != string::npos);
    CHECK(ask(server.unix_socket(), get("/")).status == 200);
  }

  TEST_CASE(
      "a Unix socket that a killed server left behind is taken over, and removed after a stop") {
    const TemporaryFolder folder;
    const string path = folder / "socket";
    {
      Server server({.files = {mounted("/", "echo")}, .binds = {"unix:" + path}});
      server.expect_failure();
      CHECK(server.stop(SIGKILL).signal == SIGKILL);
    }
    CHECK(std::filesystem::exists(path));
    {
      Server server({.files = {mounted("/", "echo")}, .binds = {"unix:" + path}});
      CHECK(ask(server.unix_socket(), get("/")).status == 200);
    }
    CHECK(!std::filesystem::exists(path));
  }

  TEST_CASE("a file that is no socket is not replaced by one") {
    const TemporaryFolder folder;
    write_file(folder / "precious", "data");
    const Outcome outcome = run_sonicorn(
        {"serve", "--bind", "unix:" + (folder / "precious").string(), fixture("echo")});
    CHECK(outcome.ending.status > 0);
    CHECK(read_file(folder / "precious") == "data");
  }

  TEST_CASE("an address that is none is told by name") {
    for (const char* address : {"127.0.0.1:notaport", "127.0.0.1:70000", "127.0.0.1",
                                "unix:", "[::1", "300.1.1.1:0", "203.0.113.1:0"}) {
      CAPTURE(string(address));
      const Outcome outcome = run_sonicorn({"serve", "--bind", address, fixture("echo")});
      CHECK(outcome.ending.signal == 0);
      CHECK(outcome.ending.status > 0);
      CHECK(outcome.errors.find(address) != string::npos);
    }
  }
}
