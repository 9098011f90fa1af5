#include <ctime>
#include <nlohmann/json.hpp>

#include "support/support.hpp"

// What happens on a connection besides the verdict on one request: pipelining, HEAD, Expect, the
// fields of an answer, and its form when it is an error.

using namespace support;
using std::string;

TEST_SUITE("http_connections") {
  TEST_CASE("sixteen requests in one packet are answered in their order") {
    for (const char* app : {"echo", "echo_pool"}) {
      CAPTURE(string(app));
      Server server({.files = {mounted("/", app)}});
      string requests;
      for (int i = 0; i < 16; ++i) requests += get("/" + std::to_string(i) + "?show=path");
      Client client(server.tcp());
      client.send(requests);
      for (int i = 0; i < 16; ++i) CHECK(client.read_response().body == "/" + std::to_string(i));
    }
  }

  TEST_CASE("pipelined requests with and without bodies keep their order and their bodies") {
    Server server({.files = {mounted("/", "echo"), mounted("/pool", "echo_pool")}});
    const string chunked =
        " HTTP/1.1\r\nHost: test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    const string requests = get("/one?show=path") + post("/pool", "two") + "POST /" + chunked +
                            post("/", "four") + "POST /pool" + chunked + get("/six?show=path") +
                            "HEAD /seven HTTP/1.1\r\nHost: test\r\n\r\n" + post("/", "eight");
    Client client(server.tcp());
    client.send(requests);
    for (const char* expected : {"/one", "two", "abc", "four", "abc", "/six"}) {
      CHECK(client.read_response().body == expected);
    }
    CHECK(client.read_response(true).status == 200);
    CHECK(client.read_response().body == "eight");
  }

  TEST_CASE("what is pipelined behind a close or a refusal is not answered") {
    Server server({.files = {mounted("/", "echo")}});
    for (const string& last :
         {get("/", "Connection: close\r\n"), string("GET / HTTP/1.1\r\n\r\n")}) {
      Client client(server.tcp());
      client.send(get("/") + last + get("/"));
      CHECK(client.read_responses().size() == 2);
    }
  }

  TEST_CASE("a connection serves many requests, and says when it is the last") {
    Server server({.files = {mounted("/", "echo")}});
    Client client(server.tcp());
    for (int i = 0; i < 200; ++i) {
      const Response response = client.ask(get("/?show=path"));
      REQUIRE(response.status == 200);
      REQUIRE(response.field("Connection") != "close");
    }
    CHECK(client.ask(get("/", "Connection: close\r\n")).field("Connection") == "close");
    CHECK(client.closes());
  }

  TEST_CASE("HTTP/1.0 with keep-alive is told that it is kept") {
    Server server({.files = {mounted("/", "echo")}});
    Client client(server.tcp());
    const string request = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n";
    CHECK(client.ask(request).field("Connection") == "keep-alive");
    CHECK(client.ask(request).status == 200);
    CHECK(client.ask("GET / HTTP/1.0\r\n\r\n").status == 200);
    CHECK(client.closes());
  }

  TEST_CASE("HEAD is GET without the body") {
    Server server({.files = {mounted("/echo", "echo")}});
    Client client(server.tcp());
    const Response full = client.ask(get("/echo/abc?show=path"));
    const Response head =
        client.ask("HEAD /echo/abc?show=path HTTP/1.1\r\nHost: test\r\n\r\n", true);
    CHECK(full.body == "/abc");
    CHECK(head.status == 200);
    CHECK(head.field("Content-Length") == "4");
    CHECK(head.field("Content-Type") == full.field("Content-Type"));
    const Response missing = client.ask("HEAD /nowhere HTTP/1.1\r\nHost: test\r\n\r\n", true);
    CHECK(missing.status == 404);
    CHECK(client.ask(get("/echo/abc?show=path")).body == "/abc");
  }

  TEST_CASE("an answer without content has neither body nor length") {
    Server server({.files = {mounted("/", "echo")}});
    Client client(server.tcp());
    for (const char* status : {"204", "304"}) {
      const Response response = client.ask(post("/?status=" + string(status), "ignored"));
      CHECK(std::to_string(response.status) == status);
      if (response.status == 204) CHECK(!response.has("Content-Length"));
      CHECK(!response.has("Transfer-Encoding"));
    }
    CHECK(client.ask(get("/?show=method")).body == "GET");
  }

  TEST_CASE("an answer carries what the app set, a length, and the date") {
    Server server({.files = {mounted("/", "echo")}});
    const std::time_t before = std::time(nullptr);
    const Response response = ask(server.tcp(), post("/?status=201", "made"));
    const std::time_t after = std::time(nullptr);
    CHECK(response.status == 201);
    CHECK(response.version == "HTTP/1.1");
    CHECK(response.field("X-Echo") == "yes");
    CHECK(response.field("Content-Type") == "text/plain");
    CHECK(response.field("Content-Length") == "4");
    const string date = response.field("Date");
    std::tm parsed{};
    const char* end = ::strptime(date.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parsed);
    REQUIRE_MESSAGE((end != nullptr && *end == '\0'), date);
    CHECK(date.size() == 29);
    char again[30];
    std::strftime(again, sizeof again, "%a, %d %b %Y %H:%M:%S GMT", &parsed);
    CHECK(date == again);
    CHECK(::timegm(&parsed) >= before - 1);
    CHECK(::timegm(&parsed) <= after + 1);
  }

  TEST_CASE("Expect: 100-continue is answered before the body is sent") {
    Server server({.files = {mounted("/", "echo"), mounted("/pool", "echo_pool")}});
    for (const char* target : {"/", "/pool"}) {
      for (const char* value : {"100-continue", "100-Continue"}) {
        Client client(server.tcp());
        const string request = post(target, "hello", "Expect: " + string(value) + "\r\n");
        client.send(request.substr(0, request.size() - 5));
        CHECK(client.read_interim() == 100);
        client.send("hello");
        CHECK(client.read_response().body == "hello");
        CHECK(client.interim() == 0);
        CHECK(client.ask(get("/")).status == 200);
      }
    }
  }

  TEST_CASE("Expect: 100-continue with a chunked body") {
    Server server({.files = {mounted("/", "echo")}});
    Client client(server.tcp());
    client.send(
        "POST / HTTP/1.1\r\nHost: test\r\nExpect: 100-continue\r\nTransfer-Encoding: "
        "chunked\r\n\r\n");
    CHECK(client.read_interim() == 100);
    client.send("5\r\nhello\r\n0\r\n\r\n");
    CHECK(client.read_response().body == "hello");
  }

  TEST_CASE("a body that will be refused is not asked for") {
    Server server({.files = {mounted("/app", "echo")}});
    const auto first_status = [&](const string& target, const string& lines) {
      Client client(server.tcp());
      client.send("POST " + target + " HTTP/1.1\r\nHost: test\r\n" + lines + "\r\n");
      const Response response = client.read_response();
      CHECK(client.interim() == 0);
      return response.status;
    };
    CHECK(first_status("/app", "Expect: 100-continue\r\nContent-Length: 99999999\r\n") == 413);
    CHECK(first_status("/app", "Expect: 200-ok\r\nContent-Length: 5\r\n") == 417);
    CHECK(first_status("/app", "Expect: 100-continue, x\r\nContent-Length: 5\r\n") == 417);
    CHECK(first_status("/none", "Expect: 100-continue\r\nContent-Length: 5\r\n") == 404);
  }

  TEST_CASE("an error is text, or JSON for who prefers that") {
    Server server({.files = {mounted("/app", "echo")}});
    const Response text = ask(server.tcp(), get("/none"));
    CHECK(text.status == 404);
    CHECK(text.field("Content-Type").starts_with("text/plain"));
    CHECK(text.body.find("404") != string::npos);
    CHECK(text.has("Date"));
    for (const char* accept : {"application/json", "text/html, application/json;q=0.9",
                               "Application/JSON; charset=utf-8"}) {
      CAPTURE(string(accept));
      const Response json = ask(server.tcp(), get("/none", "Accept: " + string(accept) + "\r\n"));
      CHECK(json.status == 404);
      CHECK(json.field("Content-Type").starts_with("application/json"));
      const auto error = nlohmann::json::parse(json.body)["error"];
      CHECK(error["status"] == 404);
      CHECK(!error["id"].get<string>().empty());
      CHECK(!error["message"].get<string>().empty());
    }
  }

  TEST_CASE("an error answer never repeats what was sent") {
    Server server({.files = {mounted("/app", "echo")}});
    const string marker = "<script>marker</script>";
    for (const string& request :
         {get("/none/marker?" + marker), get("/", "X-A" + marker + ": v\r\n"),
          get("/none", "Accept: application/json\r\nX-A: " + marker + "\r\n"),
          string("GET / HTTP/1.1\r\nHost: " + marker + "\r\n\r\n"),
          string("MARKER" + marker + " / HTTP/1.1\r\n\r\n"),
          post("/app", "", "Expect: " + marker + "\r\n"),
          post("/app", "", "Transfer-Encoding: " + marker + "\r\n")}) {
      Client client(server.tcp());
      client.send(request);
      const Response response = client.read_response();
      CHECK(response.status >= 400);
      CHECK(response.body.find("marker") == string::npos);
      for (const auto& [name, value] : response.fields) {
        CHECK(value.find("marker") == string::npos);
      }
    }
  }

  TEST_CASE("a client that ends its sending direction still gets its answer") {
    Server server({.files = {mounted("/", "echo"), mounted("/pool", "echo_pool")}});
    for (const char* target : {"/", "/pool"}) {
      Client client(server.tcp());
      client.send(post(target, "last words"));
      client.shut_down_sending();
      CHECK(client.read_response().body == "last words");
      CHECK(client.closes());
    }
  }

  TEST_CASE("a refusal is readable although the client goes on sending") {
    Server server({.files = {mounted("/", "echo")}});
    for (int i = 0; i < 20; ++i) {
      Client client(server.tcp());
      client.send("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 4000000\r\n\r\n");
      client.send(string(2'000'000, 'x'));
      CHECK(client.read_response().status == 413);
    }
  }
}
