#include <nlohmann/json.hpp>

#include "support/support.hpp"

// Which app a request reaches, and what of its target that app sees.

using namespace support;
using std::string;

namespace {

// "MOUNT PATH" as the app at the target sees them, or the status of the refusal.
string seen(const Server& server, const string& target) {
  Client client(server.tcp());
  const string mark = target.find('?') == string::npos ? "?" : "&";
  const Response mount = client.ask(get(target + mark + "show=mount"));
  if (mount.status != 200) return std::to_string(mount.status);
  return mount.body + " " + client.ask(get(target + mark + "show=path")).body;
}

}  // namespace

TEST_SUITE("routing") {
  TEST_CASE("the longest mount wins, on the borders of segments") {
    Server server({.files = {mounted("/", "echo"), mounted("/a", "echo"),
                             mounted("/a/b", "echo_pool"), mounted("/ab", "echo")}});
    CHECK(seen(server, "/") == " /");
    CHECK(seen(server, "/x") == " /x");
    CHECK(seen(server, "/a") == "/a /");
    CHECK(seen(server, "/a/") == "/a /");
    CHECK(seen(server, "/a/x/y") == "/a /x/y");
    CHECK(seen(server, "/a/b") == "/a/b /");
    CHECK(seen(server, "/a/b/c") == "/a/b /c");
    CHECK(seen(server, "/a/bc") == "/a /bc");
    CHECK(seen(server, "/ab") == "/ab /");
    CHECK(seen(server, "/ab/c") == "/ab /c");
    CHECK(seen(server, "/abc") == " /abc");
    CHECK(seen(server, "/A") == " /A");
  }

  TEST_CASE("without an app at the root, other paths are not found") {
    Server server({.files = {mounted("/a/b", "echo")}});
    CHECK(seen(server, "/a/b/c") == "/a/b /c");
    for (const char* target : {"/", "/a", "/a/", "/a/bc", "/b", "/a/b2/c"}) {
      CAPTURE(string(target));
      CHECK(seen(server, target) == "404");
    }
  }

  TEST_CASE("a path is decoded before it is routed") {
    Server server({.files = {mounted("/", "echo"), mounted("/a", "echo")}});
    CHECK(seen(server, "/%61") == "/a /");
    CHECK(seen(server, "/%61/%62%20c") == "/a /b c");
    CHECK(seen(server, "/x%C3%A4") == " /x\xc3\xa4");
    CHECK(seen(server, "/a+b") == " /a+b");
    CHECK(ask(server.tcp(), get("/%61/b%20c?show=target")).body == "/%61/b%20c?show=target");
    CHECK(ask(server.tcp(), get("/a?x=%41&show=query")).body == "x=%41&show=query");
    CHECK(seen(server, "/%zz") == "400");
    CHECK(seen(server, "/%4") == "400");
    CHECK(seen(server, "/%00") == "400");
  }

  TEST_CASE("dot segments are resolved before a path is routed") {
    Server server({.files = {mounted("/", "echo"), mounted("/a", "echo")}});
    CHECK(seen(server, "/a/./b") == "/a /b");
    CHECK(seen(server, "/a/x/../b") == "/a /b");
    CHECK(seen(server, "/a/../b") == " /b");
    CHECK(seen(server, "/b/../a/c") == "/a /c");
    CHECK(seen(server, "/a/%2e%2e/b") == " /b");
    CHECK(seen(server, "/a/..b") == "/a /..b");
    const string above = seen(server, "/../../etc/passwd");
    CHECK((above == " /etc/passwd" || above == "400"));
    const string slash = seen(server, "/a/..%2fb");
    CHECK((slash == " /b" || slash == "400" || slash == "/a /..%2fb"));
  }

  TEST_CASE("an app sees the request as it is") {
    Server server({.files = {mounted("/app", "echo")}});
    const auto shown = [&](const string& what) {
      return ask(server.tcp(), get("/app?show=" + what, "X-A: 1\r\nx-b: 2\r\n")).body;
    };
    CHECK(shown("method") == "GET");
    CHECK(shown("scheme") == "http");
    CHECK(shown("version") == "11");
    CHECK(shown("remote") == "127.0.0.1");
    CHECK(shown("fields") == "3");
    CHECK(shown("field&name=x-B") == "2");
    CHECK(shown("field&name=x-c") == "(absent)");
    CHECK(ask(server.unix_socket(), get("/app?show=remote")).body == "unix");
  }

  TEST_CASE("an app without on_request may be mounted, and its paths are not found") {
    Server server({.files = {mounted("/nothing", "exports_nothing"), mounted("/a", "echo")}});
    CHECK(seen(server, "/nothing") == "404");
    CHECK(seen(server, "/nothing/x") == "404");
    CHECK(seen(server, "/a") == "/a /");
  }

  TEST_CASE("two mounts of one file share no statics") {
    Server server({.files = {mounted("/one", "counter"), mounted("/two", "counter")}});
    CHECK(ask(server.tcp(), get("/one")).body == "1");
    CHECK(ask(server.tcp(), get("/one")).body == "2");
    CHECK(ask(server.tcp(), get("/two")).body == "1");
  }

  TEST_CASE("the default mount is the root") {
    Server server({.files = {fixture("only_on_request")}});
    CHECK(ask(server.tcp(), get("/any/path")).body == "only on_request\n");
  }

  TEST_CASE("the manifest says on which thread a handler runs") {
    Server server({.files = {mounted("/io", "echo"), mounted("/pool", "echo_pool")}});
    CHECK(ask(server.tcp(), get("/io?show=thread")).body == "2");
    CHECK(ask(server.tcp(), get("/pool?show=thread")).body == "3");
  }

  TEST_CASE("a serial app never has two calls at once") {
    Server server({.files = {mounted("/pool", "serial"), mounted("/io", "serial_inline")},
                   .arguments = {"--threads", "4"}});
    for (const char* target : {"/pool", "/io"}) {
      CAPTURE(string(target));
      std::vector<Client> clients;
      for (int i = 0; i < 12; ++i) clients.emplace_back(server.tcp());
      for (int round = 0; round < 5; ++round) {
        for (Client& client : clients) client.send(get(target));
        for (Client& client : clients) CHECK(client.read_response().body == "alone\n");
      }
    }
  }
}
