#include "app/library_path.hpp"

#include <doctest/doctest.h>

#include <algorithm>

namespace sonicorn::app {
namespace {

TEST_CASE("a library path is split at colons, and an empty entry is the working directory") {
  CHECK(split_library_path("").empty());
  CHECK(split_library_path("/a:/b;/c") == std::vector<std::string>{"/a", "/b", "/c"});
  CHECK(split_library_path(":/a") == std::vector<std::string>{".", "/a"});
}

TEST_CASE("$ORIGIN is the folder of the object that says it") {
  CHECK(expanded("$ORIGIN/../lib", "/opt/app") == "/opt/app/../lib");
  CHECK(expanded("${ORIGIN}", "/opt/$ORIGIN") == "/opt/$ORIGIN");
  CHECK(expanded("/plain", "/opt/app") == "/plain");
  CHECK(names_origin("${ORIGIN}/x"));
  CHECK_FALSE(names_origin("/x"));
}

TEST_CASE("the system's folders are those where the C library lies") {
  const auto folders = system_library_folders();
  CHECK(std::any_of(folders.begin(), folders.end(), [](const std::filesystem::path& folder) {
    return std::filesystem::exists(folder / "libc.so.6");
  }));
}

}  // namespace
}  // namespace sonicorn::app
