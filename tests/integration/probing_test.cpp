#include <nlohmann/json.hpp>

#include "support/support.hpp"

// An app gets exactly the calls it declares, and learns honestly what the server delivers.

using namespace support;
using nlohmann::json;
using std::string;

TEST_SUITE("probing") {
  TEST_CASE("an app that calls libc does not get libc's shutdown as its attribute") {
    Server server({.files = {mounted("/", "calls_libc")}});
    CHECK(ask(server.tcp(), get("/")).body == "calls libc\n");
    CHECK(server.stop().status == 0);
  }

  TEST_CASE("attributes of a library that an app depends on are not the app's") {
    // Their start and shutdown would abort the server.
    Server server({.files = {mounted("/", "borrows")}});
    CHECK(ask(server.tcp(), get("/")).body == "borrows\n");
    CHECK(server.stop().status == 0);
  }

  TEST_CASE("an unknown sonicorn_ symbol is never called") {
    Server server({.files = {mounted("/", "misspelt")}});
    CHECK(ask(server.tcp(), get("/")).body == "misspelt\n");
    CHECK(server.stop().status == 0);
  }

  TEST_CASE("an app that exports nothing starts and stops without a call") {
    Server server({.files = {fixture("exports_nothing")}});
    CHECK(ask(server.tcp(), get("/")).status == 404);
    CHECK(server.stop().status == 0);
  }

  TEST_CASE("the server says of itself what it delivers, and no more") {
    Server server({.files = {mounted("/s", "settings")}, .arguments = {"--grace", "7"}});
    Client client(server.tcp());
    const auto shown = [&](const string& what) { return client.ask(get("/s?show=" + what)).body; };
    CHECK(shown("name") == "sonicorn");
    CHECK(!shown("version").empty());
    CHECK(shown("app_name") == "settings");
    CHECK(shown("mount") == "/s");
    const json promise = json::parse(shown("promise"));
    CHECK(promise["grace_ms"] == 7000);
    CHECK(promise["term"] == 1);
    CHECK(promise["int"] == 1);
    for (const char* id :
         {"shutdown~1", "drain~1", "reload~1", "request_events~1", "events~1", "log~1", "metrics~1",
          "timer~1", "background~1", "bus~1", "control~1", "thread_check~1", "state~1"}) {
      CAPTURE(string(id));
      CHECK(shown(string("capability&id=") + id) == "yes");
    }
    for (const char* id : {"streaming~1", "deferred~1", "websocket~1", "shutdown~2", "shutdown", "",
                           "com.example.nothing~1"}) {
      CAPTURE(string(id));
      CHECK(shown(string("capability&id=") + id) == "no");
    }
  }

  TEST_CASE("settings reach the app as JSON") {
    Server server({.toml = app_entry("/a", "settings",
                                     "name = \"my-app\"\n[app.settings]\nnumber = 42\nratio = 0.5\n"
                                     "text = \"\xc3\xa4 \\\"quoted\\\"\"\nflag = true\n"
                                     "list = [1, 2]\n[app.settings.inner]\nkey = \"value\"\n") +
                           app_entry("/b", "settings")});
    const json settings = json::parse(ask(server.tcp(), get("/a")).body);
    CHECK(settings == json{{"number", 42},
                           {"ratio", 0.5},
                           {"text", "\xc3\xa4 \"quoted\""},
                           {"flag", true},
                           {"list", {1, 2}},
                           {"inner", {{"key", "value"}}}});
    CHECK(ask(server.tcp(), get("/a?show=app_name")).body == "my-app");
    CHECK(ask(server.tcp(), get("/b")).body == "{}");
  }

  TEST_CASE("release is called once for every answer that asks for it") {
    Server server({.files = {mounted("/", "release")}});
    Client client(server.tcp());
    const auto wait_for_count = [&](const string& expected) {
      const auto deadline = std::chrono::steady_clock::now() + kPatience;
      string count;
      while ((count = client.ask(get("/?count")).body) != expected &&
             std::chrono::steady_clock::now() < deadline) {
      }
      return count;
    };
    for (int i = 0; i < 10; ++i) CHECK(client.ask(get("/")).body == "released later\n");
    CHECK(wait_for_count("10") == "10");
    CHECK(client.ask("HEAD / HTTP/1.1\r\nHost: test\r\n\r\n", true).status == 200);
    CHECK(wait_for_count("11") == "11");
    CHECK(client.ask(get("/?error")).status == 500);
    CHECK(wait_for_count("12") == "12");
  }
}
