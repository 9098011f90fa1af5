#include <doctest/doctest.h>

#include <sonicorn/app.hpp>
#include <sonicorn/testing/test_host.hpp>
#include <string>

namespace testing = sonicorn::testing;

namespace {

std::string fixture(const char* name) {
  return std::string(SONICORN_FIXTURE_DIR "/") + name + ".so";
}

// What the host says when it refuses a fixture.
std::string refusal(const char* name) {
  testing::Host host;
  try {
    host.load(fixture(name));
  } catch (const testing::Refused& refused) {
    return refused.what();
  }
  return "loaded";
}

bool contains(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

}  // namespace

TEST_CASE("a loaded app runs, and its statics are fresh each time") {
  for (int round = 0; round < 2; ++round) {
    testing::Host host;
    auto app = host.load(fixture("counter"));
    CHECK(app.name() == "counter");
    app.start();
    CHECK(app.get("/").body == "1");
    CHECK(app.get("/").body == "2");
    app.shutdown();
  }
}

TEST_CASE("an app that requires what the host lacks is refused before its code runs") {
  CHECK(refusal("requires_missing") ==
        "requires_missing.so requires the capability com.example.nothing/1, which this test host "
        "does not offer: give it one with Host::offer, or move it from \"requires\" to \"uses\" "
        "and do without");
  testing::Host host;
  const int table = 0;
  host.offer("com.example.nothing/1", &table);
  CHECK(host.load(fixture("requires_missing")).name() == "needy");
}

TEST_CASE("each capability that is required and withheld is named") {
  testing::Host host({.without = {"shutdown"}});
  CHECK_THROWS_WITH_AS(host.load(fixture("full_manifest")),
                       "full_manifest.so requires the capability shutdown/1, which this test "
                       "withholds: let the host offer it, or move it from \"requires\" to "
                       "\"uses\" and do without",
                       testing::Refused);
  CHECK_THROWS_AS(host.withhold("shutdwon/1"), testing::Misuse);
}

TEST_CASE("what is no right app is refused with a reason") {
  CHECK(contains(refusal("no_mark"), "has no Sonicorn ABI mark"));
  CHECK(contains(refusal("wrong_major"), "was built for Sonicorn ABI 2."));
  CHECK(contains(refusal("newer_minor"), "build both with one version of the SDK"));
  CHECK(contains(refusal("bad_manifest"), "\"blocking\" must be true or false, not \"perhaps\""));
  CHECK(contains(refusal("data_attribute"), "as data, not as a function"));
  CHECK(contains(refusal("missing_symbol"), "cannot be loaded"));
  CHECK(contains(refusal("not_there"), "cannot be read"));
  testing::Host host;
  CHECK_THROWS_AS(host.load(__FILE__), testing::Refused);
}

TEST_CASE("attributes of libraries are not taken for the app's") {
  for (const char* name : {"borrows", "calls_libc"}) {
    testing::Host host;
    auto app = host.load(fixture(name));
    CHECK(app.start());
    CHECK(app.get("/").status == 200);
    app.shutdown();
    CHECK(app.call_order() == "on_request");
  }
}

TEST_CASE("one file is loaded once at a time") {
  testing::Host host;
  auto app = host.load(fixture("counter"));
  CHECK_THROWS_AS(host.load(fixture("counter"), {.mount = "/other"}), testing::Refused);
  app.start();
  app.shutdown();
  CHECK_NOTHROW(host.load(fixture("counter")));
}

TEST_CASE("an app gets its settings, its name and its mount") {
  testing::Host host;
  auto app =
      host.load(fixture("settings"), {.settings = R"({"a":1})", .mount = "/here", .name = "mine"});
  app.start();
  CHECK(app.get("/").body == R"({"a":1})");
  CHECK(app.get("/?show=app_name").body == "mine");
  CHECK(app.get("/?show=mount").body == "/here");
  CHECK(app.get("/?show=name").body == "sonicorn");
  CHECK(app.get("/?show=promise").body == R"({"grace_ms":30000,"term":1,"int":1})");
}

TEST_CASE("settings that are no object and mounts that are none are the test's mistake") {
  testing::Host host;
  CHECK_THROWS_AS(host.load(fixture("settings"), {.settings = "[]"}), testing::Misuse);
  CHECK_THROWS_AS(host.load(fixture("settings"), {.mount = "here"}), testing::Misuse);
  auto app = host.load(fixture("settings"), {.mount = "/here/"});
  CHECK(app.mount() == "/here");
  CHECK_THROWS_AS(host.load(fixture("counter"), {.mount = "/here"}), testing::Misuse);
}

TEST_CASE("an executable without an app in it says what to do") {
  testing::Host host;
  CHECK_THROWS_WITH_AS(host.link(), doctest::Contains("add the app's sources"), testing::Refused);
}

TEST_CASE("a class has the manifest that the options give") {
  struct Plain {};
  testing::Host host;
  auto app = host.link<Plain>({.manifest = R"({"name": "plain", "blocking": false})"});
  CHECK(app.name() == "plain");
  CHECK_THROWS_WITH_AS(host.link<Plain>({.manifest = R"({"name": "plain", "name": "twice"})"}),
                       doctest::Contains("the key \"name\" is given twice"), testing::Refused);
  CHECK_THROWS_AS(host.link<Plain>({.manifest = "not JSON"}), testing::Refused);
}
