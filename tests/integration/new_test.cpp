#include <string>
#include <utility>
#include <vector>

#include "support/support.hpp"

// A new project: `sonicorn new`.

using namespace support;
using std::string;

namespace {

// Building a test takes a compiler a while.
constexpr std::chrono::minutes kBuildTime{8};

Outcome run(const TemporaryFolder& folder, std::vector<string> arguments,
            std::chrono::milliseconds limit = kPatience) {
  // Looks for the program in PATH.
  arguments.insert(arguments.begin(), "/usr/bin/env");
  Process process(std::move(arguments), {}, folder.path());
  const auto ending = process.wait(limit);
  REQUIRE(ending.has_value());
  return {*ending, process.output(), process.errors()};
}

Outcome make(const TemporaryFolder& folder, std::vector<string> arguments) {
  arguments.insert(arguments.begin(), {executable(), "new"});
  return run(folder, std::move(arguments));
}

}  // namespace

TEST_SUITE("new") {
  TEST_CASE("a project has a build, a source, a test, and says what comes next") {
    for (const auto& [language, source] :
         {std::pair{"c", "my_app.c"}, std::pair{"cpp", "my_app.cpp"}}) {
      CAPTURE(language);
      const TemporaryFolder folder;
      const Outcome outcome = make(folder, {"my-app", "--lang", language});
      CHECK(outcome.ending.status == 0);
      CHECK(outcome.errors.empty());
      CHECK(outcome.output.find("sonicorn dev my-app") != string::npos);
      for (const string file :
           {"CMakeLists.txt", source, "my_app_test.cpp", "README.md", ".gitignore"}) {
        CAPTURE(file);
        CHECK(std::filesystem::is_regular_file(folder / "my-app" / file));
        CHECK(outcome.output.find(file) != string::npos);
      }
    }
  }

  TEST_CASE("without a language it is C++") {
    const TemporaryFolder folder;
    CHECK(make(folder, {"hello"}).ending.status == 0);
    CHECK(std::filesystem::exists(folder / "hello/hello.cpp"));
  }

  TEST_CASE("a name or a language that cannot be is refused, and nothing is written") {
    const TemporaryFolder folder;
    for (const string name : {"9lives", "a/b", "a b", "..", "test"}) {
      CAPTURE(name);
      const Outcome outcome = make(folder, {name});
      CHECK(outcome.ending.status == 1);
      CHECK(outcome.errors.find(name) != string::npos);
      CHECK(outcome.errors.find("name of an app") != string::npos);
    }
    const Outcome outcome = make(folder, {"hello", "--lang", "rust"});
    CHECK(outcome.ending.status == 1);
    CHECK(outcome.errors.find("c, cpp") != string::npos);
    CHECK(make(folder, {}).ending.status == 2);
    CHECK(std::filesystem::is_empty(folder.path()));
  }

  TEST_CASE("a folder with something in it is not touched") {
    const TemporaryFolder folder;
    std::filesystem::create_directory(folder / "hello");
    write_file(folder / "hello/mine", "text");
    const Outcome outcome = make(folder, {"hello"});
    CHECK(outcome.ending.status == 1);
    CHECK(outcome.errors.find("hello") != string::npos);
    CHECK(outcome.errors.find("choose another name") != string::npos);
    CHECK(read_file(folder / "hello/mine") == "text");
    CHECK_FALSE(std::filesystem::exists(folder / "hello/CMakeLists.txt"));
  }

  // Once is enough: a project is no other for a server with sanitizers.
  TEST_CASE("what is written builds as it is, and its own test passes" *
            doctest::skip(has_sanitizer())) {
    for (const string language : {"c", "cpp"}) {
      CAPTURE(language);
      const TemporaryFolder folder;
      REQUIRE(make(folder, {"my-app", "--lang", language}).ending.status == 0);
      const Outcome configured =
          run(folder, {"cmake", "-S", "my-app", "-B", "build", "-DBUILD_TESTING=ON"});
      INFO(configured.output << configured.errors);
      REQUIRE(configured.ending.status == 0);
      const Outcome built =
          run(folder, {"cmake", "--build", "build", "--parallel", "2"}, kBuildTime);
      INFO(built.output << built.errors);
      REQUIRE(built.ending.status == 0);
      CHECK((built.output + built.errors).find("warning") == string::npos);
      CHECK(run(folder, {"ctest", "--test-dir", "build", "--no-tests=error"}).ending.status == 0);
      const Outcome inspected = run(folder, {executable(), "inspect", "build/my-app.so"});
      CHECK(inspected.ending.status == 0);
      CHECK(inspected.output.find("my-app") != string::npos);
    }
  }
}
