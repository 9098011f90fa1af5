#include "app/runtime_dir.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "temporary_folder.hpp"

namespace sonicorn::app {
namespace {

namespace fs = std::filesystem;

std::string own_prefix() { return "sonicorn-" + std::to_string(::geteuid()) + "-"; }

TEST_CASE("a runtime folder is private, and gone with what it holds") {
  const TemporaryFolder parent;
  fs::path path;
  {
    const auto folder = RuntimeDir::create(parent.path());
    REQUIRE_MESSAGE(folder.has_value(), folder.error().message);
    path = folder->path();
    CHECK(path.parent_path() == parent.path());
    CHECK(path.filename().native().starts_with(own_prefix()));
    struct stat status {};
    REQUIRE(::stat(path.c_str(), &status) == 0);
    CHECK((status.st_mode & 0777) == 0700);
    fs::create_directory(path / "inside");
    std::ofstream(path / "inside" / "file") << "x";
  }
  CHECK_FALSE(fs::exists(path));
}

TEST_CASE("a moved runtime folder is removed once, by its last owner") {
  const TemporaryFolder parent;
  auto first = RuntimeDir::create(parent.path());
  auto second = RuntimeDir::create(parent.path());
  REQUIRE(first.has_value());
  REQUIRE(second.has_value());
  const fs::path kept = first->path();
  const fs::path dropped = second->path();
  {
    RuntimeDir owner = *std::move(second);
    CHECK(fs::exists(dropped));
    owner = *std::move(first);
    CHECK_FALSE(fs::exists(dropped));
    CHECK(fs::exists(kept));
  }
  CHECK_FALSE(fs::exists(kept));
}

TEST_CASE("what a killed process left is removed, what a living one holds is not") {
  const TemporaryFolder parent;
  const auto living = RuntimeDir::create(parent.path());
  REQUIRE(living.has_value());
  const fs::path left = parent.path() / (own_prefix() + "dead00");
  const fs::path unmarked = parent.path() / (own_prefix() + "cious0");
  const fs::path longer = parent.path() / (own_prefix() + "my-precious");
  const fs::path foreign = parent.path() / "sonicorn-other";
  const fs::path target = parent.path() / "target";
  for (const fs::path& folder : {left, unmarked, longer, foreign, target}) {
    fs::create_directory(folder);
    std::ofstream(folder / "file") << "x";
  }
  for (const fs::path& folder : {left, longer, foreign}) std::ofstream(folder / ".sonicorn");
  fs::create_directory_symlink(target, parent.path() / (own_prefix() + "link00"));
  const auto next = RuntimeDir::create(parent.path());
  REQUIRE(next.has_value());
  CHECK_FALSE(fs::exists(left));
  CHECK(fs::exists(living->path()));
  CHECK(fs::exists(foreign / "file"));
  CHECK(fs::exists(unmarked / "file"));
  CHECK(fs::exists(longer / "file"));
  CHECK(fs::exists(target / "file"));
}

TEST_CASE("a parent that does not serve is refused with the setting's name") {
  for (const char* parent : {"/nowhere/at/all", "/proc"}) {
    const auto folder = RuntimeDir::create(parent);
    REQUIRE_FALSE(folder.has_value());
    CHECK(folder.error().id == "host.runtime_dir");
    CHECK(folder.error().message.find("runtime_dir") != std::string::npos);
  }
}

}  // namespace
}  // namespace sonicorn::app
