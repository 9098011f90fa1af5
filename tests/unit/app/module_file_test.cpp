#include "app/module_file.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "temporary_folder.hpp"

namespace sonicorn::app {
namespace {

std::string refusal(const std::filesystem::path& path, std::string_view id) {
  CHECK(read_module_file(path).has_value());
  const auto bytes = read_module_file(path, Owners::trusted);
  REQUIRE_FALSE(bytes.has_value());
  CHECK(bytes.error().id == id);
  CHECK(bytes.error().message.find("check_owners = false") != std::string::npos);
  return bytes.error().message;
}

TEST_CASE("a file that only this user may change is read") {
  const TemporaryFolder folder;
  const auto file = folder.write("a.so", "bytes");
  REQUIRE(::chmod(file.c_str(), 0644) == 0);
  CHECK(*read_module_file(file, Owners::trusted) == "bytes");
}

TEST_CASE("a file that the group or everybody may write to is refused") {
  const TemporaryFolder folder;
  const auto file = folder.write("a.so", "bytes");
  REQUIRE(::chmod(file.c_str(), 0664) == 0);
  const std::string message = refusal(file, "app.untrusted_file");
  CHECK(message.find("may be written to by its group") != std::string::npos);
  CHECK(message.find("chmod go-w " + file.string()) != std::string::npos);
  REQUIRE(::chmod(file.c_str(), 0646) == 0);
  CHECK(refusal(file, "app.untrusted_file").find("by everybody") != std::string::npos);
}

TEST_CASE("a folder that others may write to is refused, also with the sticky bit") {
  const TemporaryFolder folder;
  const auto inner = folder.path() / "inner";
  std::filesystem::create_directory(inner);
  const auto file = folder.write("inner/a.so", "bytes");
  REQUIRE(::chmod(file.c_str(), 0644) == 0);
  REQUIRE(::chmod(inner.c_str(), 0775) == 0);
  CHECK(refusal(file, "app.untrusted_folder").find("chmod go-w " + inner.string()) !=
        std::string::npos);
  REQUIRE(::chmod(inner.c_str(), 01777) == 0);
  CHECK(refusal(file, "app.untrusted_folder").find("a folder of its own") != std::string::npos);
  REQUIRE(::chmod(inner.c_str(), 0755) == 0);
  // What is above is not asked about.
  REQUIRE(::chmod(folder.path().c_str(), 0777) == 0);
  CHECK(read_module_file(file, Owners::trusted).has_value());
}

TEST_CASE("a link is judged by what it leads to") {
  const TemporaryFolder folder;
  for (const char* const name : {"open", "closed"}) {
    std::filesystem::create_directory(folder.path() / name);
  }
  REQUIRE(::chmod((folder.path() / "closed").c_str(), 0755) == 0);
  REQUIRE(::chmod((folder.path() / "open").c_str(), 0777) == 0);
  for (const char* const name : {"open/a.so", "closed/a.so"}) {
    REQUIRE(::chmod(folder.write(name, "bytes").c_str(), 0644) == 0);
  }
  std::filesystem::create_symlink("../closed/a.so", folder.path() / "open/link.so");
  std::filesystem::create_symlink("../open/a.so", folder.path() / "closed/link.so");
  CHECK(read_module_file(folder.path() / "open/link.so", Owners::trusted).has_value());
  refusal(folder.path() / "closed/link.so", "app.untrusted_folder");
}

TEST_CASE("what belongs to another user is refused") {
  if (::geteuid() != 0) {
    MESSAGE("skipped: only root may give files away");
    return;
  }
  const TemporaryFolder folder;
  const auto file = folder.write("a.so", "bytes");
  REQUIRE(::chmod(file.c_str(), 0644) == 0);
  REQUIRE(::chown(file.c_str(), 7, 7) == 0);
  const std::string message = refusal(file, "app.untrusted_file");
  CHECK(message.find("belongs to user 7") != std::string::npos);
  CHECK(message.find("chown root " + file.string()) != std::string::npos);
  CHECK(message.find("runs as root") != std::string::npos);
  REQUIRE(::chown(file.c_str(), 0, 7) == 0);
  REQUIRE(::chown(folder.path().c_str(), 7, 7) == 0);
  CHECK(refusal(file, "app.untrusted_folder").find("chown root " + folder.path().string()) !=
        std::string::npos);
}

}  // namespace
}  // namespace sonicorn::app
