#include "supervisor/pid_file.hpp"

#include <doctest/doctest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <optional>
#include <string>

#include "../app/temporary_folder.hpp"

namespace sonicorn::supervisor {
namespace {

std::string read(const std::filesystem::path& file) {
  std::ifstream stream(file);
  return {std::istreambuf_iterator<char>(stream), {}};
}

std::string refusal(const std::filesystem::path& path, std::string_view id) {
  const auto file = PidFile::write(path);
  REQUIRE_FALSE(file.has_value());
  CHECK(file.error().id == id);
  return file.error().message;
}

// A process that does nothing, or one that is no more.
pid_t child(bool alive) {
  const pid_t id = ::fork();
  if (id == 0) {
    if (alive) ::pause();
    ::_exit(0);
  }
  if (!alive) ::waitpid(id, nullptr, 0);
  return id;
}

TEST_CASE("a PID file names this process and is removed at its end") {
  const app::TemporaryFolder folder;
  const auto path = folder.path() / "pid";
  {
    const auto file = PidFile::write(path);
    REQUIRE_MESSAGE(file.has_value(), file.error().message);
    CHECK(read(path) == std::to_string(::getpid()) + "\n");
    CHECK((std::filesystem::status(path).permissions() & std::filesystem::perms::others_write) ==
          std::filesystem::perms::none);
    // Another server, even where processes cannot see each other.
    CHECK(refusal(path, "host.pid_file_taken").find(std::to_string(::getpid())) !=
          std::string::npos);
  }
  CHECK_FALSE(std::filesystem::exists(path));
}

TEST_CASE("the file of a process that lives is refused by its number, and left as it is") {
  const app::TemporaryFolder folder;
  const pid_t other = child(true);
  const std::string text = std::to_string(other) + "\n";
  const auto path = folder.write("pid", text);
  CHECK(refusal(path, "host.pid_file_taken").find("process " + std::to_string(other)) !=
        std::string::npos);
  CHECK(read(path) == text);
  ::kill(other, SIGKILL);
  ::waitpid(other, nullptr, 0);
}

TEST_CASE("the file of a process that is no more is taken over, also a longer or an empty one") {
  const app::TemporaryFolder folder;
  for (const std::string& text : {std::to_string(child(false)) + "\n", std::string("2147483647\n"),
                                  std::string(), std::to_string(::getpid())}) {
    CAPTURE(text);
    const auto path = folder.write("pid", text);
    const auto file = PidFile::write(path);
    REQUIRE_MESSAGE(file.has_value(), file.error().message);
    CHECK(read(path) == std::to_string(::getpid()) + "\n");
  }
}

TEST_CASE("what is no PID file is not overwritten") {
  const app::TemporaryFolder folder;
  for (const char* const text : {"precious", "12 13\n", "-1\n", "0\n", "99999999999999\n"}) {
    CAPTURE(std::string(text));
    const auto path = folder.write("pid", text);
    refusal(path, "host.pid_file_taken");
    CHECK(read(path) == text);
  }
  const auto link = folder.path() / "link";
  std::filesystem::create_symlink(folder.path() / "elsewhere", link);
  refusal(link, "host.pid_file_taken");
  CHECK_FALSE(std::filesystem::exists(folder.path() / "elsewhere"));
}

TEST_CASE("a PID file that cannot be written is an error that names it") {
  CHECK(refusal("/nowhere/at/all", "host.pid_file").find("/nowhere/at/all") != std::string::npos);
  const app::TemporaryFolder folder;
  refusal(folder.path(), "host.pid_file");
}

TEST_CASE("only who wrote the file removes it, and only while it is the same file") {
  const app::TemporaryFolder folder;
  const auto path = folder.path() / "pid";
  {
    auto file = PidFile::write(path);
    REQUIRE(file.has_value());
    const pid_t forked = ::fork();
    if (forked == 0) {
      std::optional<PidFile>(std::move(*file)).reset();
      ::_exit(0);
    }
    ::waitpid(forked, nullptr, 0);
    CHECK(std::filesystem::exists(path));
    // A file that somebody else put there.
    std::filesystem::remove(path);
    folder.write("pid", "other");
  }
  CHECK(read(path) == "other");
}

TEST_CASE("a file in which somebody wrote another number stays") {
  const app::TemporaryFolder folder;
  const std::filesystem::path path = folder / "pid";
  {
    const auto file = PidFile::write(path);
    REQUIRE(file.has_value());
    std::ofstream(path) << "1\n";
  }
  CHECK(read(path) == "1\n");
}

}  // namespace
}  // namespace sonicorn::supervisor
