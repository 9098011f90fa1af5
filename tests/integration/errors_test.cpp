#include "support/support.hpp"

// An app that fails costs its own request, and the log says which app and why.

using namespace support;
using std::string;

TEST_SUITE("errors") {
  TEST_CASE("an exception is a 500 and a line of the log that names the app") {
    Server server(
        {.toml = app_entry("/", "throws", "name = \"delorean\"") + app_entry("/echo", "echo")});
    Client client(server.tcp());
    const Response response = client.ask(get("/"));
    CHECK(response.status == 500);
    CHECK(response.body.find("flux") == string::npos);
    REQUIRE(server.process().wait_for_errors("the flux capacitor is empty"));
    CHECK(server.log().find("delorean") != string::npos);
    CHECK(client.ask(get("/?int")).status == 500);
    CHECK(client.ask(get("/echo?show=method")).body == "GET");
  }

  TEST_CASE("an error result is a 500, and its text stays in the log") {
    Server server({.files = {mounted("/", "error_result")}});
    Client client(server.tcp());
    for (int i = 0; i < 3; ++i) {
      const Response response = client.ask(get("/"));
      CHECK(response.status == 500);
      CHECK(response.body.find("disk") == string::npos);
    }
    REQUIRE(server.process().wait_for_errors("the disk of the app is full"));
    CHECK(server.log().find("error-result") != string::npos);
  }

  TEST_CASE("a request that the app declines is not found") {
    Server server({.files = {mounted("/", "error_result")}});
    CHECK(ask(server.tcp(), get("/?declined")).status == 404);
  }

  TEST_CASE("an answer that would break the message is a 500 and no byte of it is sent") {
    Server server({.files = {mounted("/", "bad_header")}});
    Client client(server.tcp());
    for (const char* what : {"crlf", "lf", "nul", "name", "empty_name", "length", "coding", "type",
                             "status_low", "status_high"}) {
      CAPTURE(string(what));
      const Response response = client.ask(get("/?" + string(what)));
      CHECK(response.status == 500);
      CHECK(!response.has("X-Injected"));
      CHECK(!response.has("X-Bad"));
      CHECK(response.body.find("a body") == string::npos);
    }
    CHECK(client.ask(get("/?fine")).body == "a body\n");
    CHECK(server.process().wait_for_errors("bad-header"));
  }

  TEST_CASE("of an answer that cannot be sent the log names app, attribute and generation") {
    Server server({.files = {mounted("/", "bad_header"), mounted("/filtered", "bad_filter")}});
    CHECK(ask(server.tcp(), get("/?status_high")).status == 500);
    CHECK(server.process().wait_for_errors(
        "app bad-header: the response of its on_request cannot be sent (generation 1)"));
    CHECK(ask(server.tcp(), get("/filtered")).status == 500);
    CHECK(server.process().wait_for_errors(
        "app bad-filter: the response of its pre_request cannot be sent (generation 1)"));
  }

  TEST_CASE("a refusal is JSON where Accept says so, though the fault comes before it") {
    Server server({.files = {mounted("/", "echo")}});
    const string accept = "Accept: application/json\r\n\r\n";
    for (const string& bytes : {"GET / HTTP/2.0\r\n" + accept, "GET / HTTP/1.1\r\n" + accept,
                                "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: x\r\n" + accept}) {
      CAPTURE(bytes);
      const Response response = ask(server.tcp(), bytes);
      CHECK(response.status >= 400);
      CHECK(response.body.starts_with("{\"error\":{\"status\":"));
    }
    const Response text = ask(server.tcp(), "GET / HTTP/1.1\r\nAccept: text/plain\r\n\r\n");
    CHECK(text.body.starts_with("400 Bad Request: "));
  }

  TEST_CASE("a refusal by the server is no error of an app") {
    Server server({.files = {mounted("/", "echo")}});
    CHECK(ask(server.tcp(), "GET / HTTP/1.1\r\n\r\n").status == 400);
    CHECK(server.log().find("error: ") == string::npos);
  }
}
