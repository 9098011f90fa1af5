#include "app/manifest.hpp"

#include <doctest/doctest.h>

#include <string>

namespace sonicorn::app {
namespace {

core::Result<Manifest> parse(std::string_view json) {
  const ManifestNote note{1, 0, json};
  return parse_manifest({&note, 1});
}

std::string message_of(std::string_view json) {
  const auto manifest = parse(json);
  if (manifest) return "accepted";
  CHECK(manifest.error().id == "app.bad_manifest");
  CHECK(manifest.error().message.find('\n') == std::string::npos);
  return manifest.error().message;
}

bool contains(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST_CASE("a bare ABI mark and an empty object leave every default") {
  for (const char* json : {"", "{}", " { } "}) {
    const auto manifest = parse(json);
    REQUIRE(manifest.has_value());
    CHECK(manifest->abi_major == 1);
    CHECK(manifest->name.empty());
    CHECK(manifest->requires_.empty());
    CHECK(manifest->uses.empty());
    CHECK(manifest->threads == Threads::concurrent);
    CHECK(manifest->blocking);
    CHECK(manifest->overlap == Overlap::allowed);
    CHECK(manifest->warnings.empty());
  }
}

TEST_CASE("every key is read") {
  const auto manifest = parse(
      R"({"name": "n", "version": "1.2", "description": "d", "requires": ["shutdown/1"],
          "uses": ["com.example.cache/12", "log/1", "log/1"], "threads": "serial", "blocking": false,
          "overlap": "exclusive", "state_schema": "counter/1"})");
  REQUIRE(manifest.has_value());
  CHECK(manifest->name == "n");
  CHECK(manifest->version == "1.2");
  CHECK(manifest->description == "d");
  CHECK(manifest->requires_ == std::vector<std::string>{"shutdown/1"});
  CHECK(manifest->uses == std::vector<std::string>{"com.example.cache/12", "log/1"});
  CHECK(manifest->threads == Threads::serial);
  CHECK_FALSE(manifest->blocking);
  CHECK(manifest->overlap == Overlap::exclusive);
  CHECK(manifest->state_schema == "counter/1");
}

TEST_CASE("a value of the wrong kind is refused with its key and what is allowed") {
  struct Case {
    const char* json;
    const char* key;
    const char* allowed;
  };
  for (const Case& each : {
           Case{R"({"name": 1})", "\"name\"", "a string"},
           Case{R"({"name": ""})", "\"name\"", "leave the key out"},
           Case{R"({"version": null})", "\"version\"", "a string"},
           Case{R"({"name": "a\nb"})", "\"name\"", "one line"},
           Case{R"({"requires": "shutdown/1"})", "\"requires\"", "an array"},
           Case{R"({"uses": [1]})", "\"uses\"", "NAME/REVISION"},
           Case{R"({"uses": ["shutdown"]})", "\"uses\"", "NAME/REVISION"},
           Case{R"({"uses": ["shutdown/0"]})", "\"uses\"", "NAME/REVISION"},
           Case{R"({"uses": ["/1"]})", "\"uses\"", "NAME/REVISION"},
           Case{R"({"uses": ["a b/1"]})", "\"uses\"", "NAME/REVISION"},
           Case{R"({"threads": "many"})", "\"threads\"", "\"concurrent\" or \"serial\""},
           Case{R"({"threads": true})", "\"threads\"", "\"concurrent\" or \"serial\""},
           Case{R"({"blocking": "false"})", "\"blocking\"", "true or false"},
           Case{R"({"blocking": 0})", "\"blocking\"", "true or false"},
           Case{R"({"overlap": "never"})", "\"overlap\"", "\"allowed\" or \"exclusive\""},
       }) {
    CAPTURE(each.json);
    const std::string message = message_of(each.json);
    CHECK_MESSAGE(contains(message, each.key), message);
    CHECK_MESSAGE(contains(message, each.allowed), message);
  }
}

TEST_CASE("what is no JSON object is refused") {
  for (const char* json :
       {"{", "[]", "1", "\"x\"", "{\"name\": \"a\",}", "{\"name\": \"\xff\"}", "{} {}",
        "{'name': 'a'}", "{\"n\": 1e999}", "{\"name\": \"a\", \"name\": \"b\"}"}) {
    CAPTURE(json);
    CHECK(message_of(json) != "accepted");
  }
}

TEST_CASE("size and depth are bounded") {
  const std::string text(4097, 'x');
  CHECK(contains(message_of("{\"description\": \"" + text + "\"}"), "4096"));
  CHECK(contains(message_of("{\"x\": \"" + std::string(70'000, 'x') + "\"}"), "65536"));
  CHECK(contains(message_of("{\"x\": " + std::string(20'000, '[')), "nested"));
  const std::vector<ManifestNote> many(65, ManifestNote{1, 0, ""});
  CHECK_FALSE(parse_manifest(many).has_value());
}

TEST_CASE("brackets in a string are not depth") {
  CHECK(parse("{\"description\": \"\\\"" + std::string(100, '[') + "\"}").has_value());
}

TEST_CASE("an unknown key is a warning that suggests the known one") {
  const auto manifest = parse(R"({"thread": "serial", "color": {"deep": [1]}})");
  REQUIRE(manifest.has_value());
  CHECK(manifest->threads == Threads::concurrent);
  REQUIRE(manifest->warnings.size() == 2);
  CHECK(contains(manifest->warnings[1], "did you mean \"threads\"?"));
}

TEST_CASE("several notes are merged, and the newest ABI minor is the app's") {
  const ManifestNote notes[] = {{1, 0, R"({"name": "a", "blocking": false})"},
                                {1, 3, R"({"version": "2", "name": "a"})"},
                                {1, 1, ""}};
  const auto manifest = parse_manifest(notes);
  REQUIRE(manifest.has_value());
  CHECK(manifest->name == "a");
  CHECK(manifest->version == "2");
  CHECK_FALSE(manifest->blocking);
  CHECK(manifest->abi_minor == 3);
}

TEST_CASE("a key that two notes give differently is refused with both values") {
  const ManifestNote notes[] = {{1, 0, R"({"name": "a"})"}, {1, 0, R"({"name": "b"})"}};
  const auto manifest = parse_manifest(notes);
  REQUIRE_FALSE(manifest.has_value());
  CHECK(contains(manifest.error().message, "\"a\" and \"b\""));
}

TEST_CASE("a note loses the zero bytes that pad it") {
  using namespace std::string_view_literals;
  const auto note = ManifestNote::decode("\x01\0\0\0\x02\0\0\0{}\0\0"sv);
  REQUIRE(note.has_value());
  CHECK(note->abi_major == 1);
  CHECK(note->abi_minor == 2);
  CHECK(note->json == "{}");
  CHECK(ManifestNote::decode("\x01\0\0\0\x02\0\0\0\0\0\0\0"sv)->json.empty());
  CHECK_FALSE(ManifestNote::decode("\x01\0\0\0\x02\0\0"sv).has_value());
  CHECK_FALSE(ManifestNote::decode("").has_value());
}

}  // namespace
}  // namespace sonicorn::app
