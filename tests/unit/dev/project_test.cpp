#include "dev/project.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "../app/temporary_folder.hpp"

namespace sonicorn::dev {
namespace {

using app::TemporaryFolder;
namespace fs = std::filesystem;

std::string content_of(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
}

TEST_CASE("a name is that of a file, a target and an identifier") {
  for (const char* name : {"a", "hello", "hello-world", "Hello_2", "x9"}) {
    CAPTURE(name);
    CHECK(fault_of_name(name).empty());
  }
  CHECK(fault_of_name(std::string(64, 'a')).empty());
}

TEST_CASE("another name is refused, and what is allowed is said") {
  for (const char* name :
       {"", "9x", "-x", "_x", ".", "..", "a/b", "a b", "a.b", "a\n", "h\xc3\xa9"}) {
    CAPTURE(name);
    const std::string fault = fault_of_name(name);
    CHECK(fault.find("letters, digits, - and _") != std::string::npos);
    CHECK(fault.find('\n') == std::string::npos);
  }
  CHECK_FALSE(fault_of_name(std::string(65, 'a')).empty());
}

TEST_CASE("a name that CMake uses itself is refused") {
  for (const char* name : {"test", "all", "install", "clean"}) {
    CAPTURE(name);
    CHECK(fault_of_name(name).find(std::string(name) + "-app") != std::string::npos);
  }
}

TEST_CASE("what a template leaves open is filled in") {
  Project project;
  project.name = "my-app";
  CHECK(fill_in("@NAME@ @IDENTIFIER@.c@HINT@;", project) == "my-app my_app.c;");
  project.sdk_dir = "/a \"b\"/$c";
  CHECK(fill_in("find(X@HINT@)", project) == "find(X HINTS \"/a \\\"b\\\"/\\$c\")");
}

TEST_CASE("each language has a build, a source, a test and what belongs to them") {
  CHECK(languages() == std::vector<std::string>{"c", "cpp"});
  for (const std::string& language : languages()) {
    CAPTURE(language);
    const TemporaryFolder folder;
    Project project;
    project.name = "my-app";
    project.language = language;
    project.folder = folder / "new";
    auto files = write_project(project);
    REQUIRE(files.has_value());
    std::sort(files->begin(), files->end());
    CHECK(*files == std::vector<fs::path>{".gitignore", "CMakeLists.txt", "README.md",
                                          "my_app." + language, "my_app_test.cpp"});
    for (const fs::path& file : *files) {
      CAPTURE(file.string());
      const std::string text = content_of(project.folder / file);
      CHECK_FALSE(text.empty());
      CHECK(text.find('@') == std::string::npos);
    }
  }
}

TEST_CASE("a folder with something in it is left as it is, an empty one is taken") {
  const TemporaryFolder folder;
  Project project;
  project.name = "a";
  project.language = "c";
  project.folder = folder.path();
  const fs::path mine = folder.write("mine", "text");
  const auto refused = write_project(project);
  REQUIRE(refused.has_error());
  CHECK(refused.error().id == "host.project");
  CHECK(refused.error().message.find(folder.path().string()) != std::string::npos);
  CHECK(std::distance(fs::directory_iterator(folder.path()), fs::directory_iterator()) == 1);

  fs::remove(mine);
  CHECK(write_project(project).has_value());
}

TEST_CASE("what is in the way, or cannot be written, is named") {
  const TemporaryFolder folder;
  Project project;
  project.name = "a";
  project.language = "c";
  project.folder = folder.write("a", "a file");
  CHECK(write_project(project).has_error());
  project.folder = folder / "missing/a";
  const auto failed = write_project(project);
  REQUIRE(failed.has_error());
  CHECK(failed.error().message.find("missing/a") != std::string::npos);
}

TEST_CASE("the SDK is that of the program's build, or of where it was installed") {
  const TemporaryFolder folder;
  const fs::path executable = folder / "bin/sonicorn";
  CHECK(sdk_of(executable).empty());
  for (const char* const place : {"share/cmake/Sonicorn", "plugin-sdk/package"}) {
    fs::create_directories(folder / place);
    std::ofstream(folder / place / "SonicornConfig.cmake").flush();
    CHECK(sdk_of(executable) == folder / place);
  }
}

}  // namespace
}  // namespace sonicorn::dev
