#include "app/trial.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "app/module.hpp"
#include "app/trial_answer.hpp"
#include "temporary_folder.hpp"

namespace sonicorn::app {
namespace {

using namespace std::chrono_literals;

core::Result<void> tried(std::string_view name, std::chrono::milliseconds limit = 60s,
                         const std::filesystem::path& executable = SONICORN_EXECUTABLE) {
  const TemporaryFolder parent;
  const auto folder = RuntimeDir::create(parent.path());
  REQUIRE(folder.has_value());
  const auto bytes = read_module_file(fixture(name));
  REQUIRE_MESSAGE(bytes.has_value(), bytes.error().message);
  const auto copy = write_private_copy(*folder, *bytes, name, 1);
  REQUIRE(copy.has_value());
  return trial_load(executable, *copy, fixture(name), limit);
}

void check_error(const core::Result<void>& result, std::string_view id, std::string_view part) {
  REQUIRE_FALSE(result.has_value());
  CHECK_MESSAGE(result.error().id == id, result.error().message);
  CHECK_MESSAGE(result.error().message.find(part) != std::string::npos, result.error().message);
}

TEST_CASE("an app that loads passes its trial") {
  for (const char* name : {"only_on_request", "exports_nothing", "borrows", "unique_symbols"}) {
    const auto result = tried(name);
    CHECK_MESSAGE(result.has_value(), result.error().message);
  }
}

TEST_CASE("a constructor that crashes, hangs or exits is told apart") {
  check_error(tried("constructor_crashes"), "app.constructor_crashed", "SIGSEGV");
  check_error(tried("constructor_exits"), "app.constructor_exits", "exit");
  check_error(tried("constructor_hangs", 200ms), "app.constructor_hangs", "200 ms");
}

TEST_CASE("what the loader refuses in the child is told with its words") {
  check_error(tried("missing_symbol"), "app.load_failed", "function_that_nobody_defines");
}

TEST_CASE("a child that cannot be run is the host's fault, and one that is no server is seen") {
  const auto missing = tried("only_on_request", 60s, "/nowhere/sonicorn");
  check_error(missing, "host.trial_failed", "/nowhere/sonicorn");
  CHECK(missing.error().origin == core::Origin::host);
  CHECK_FALSE(tried("only_on_request", 60s, "/bin/true").has_value());
}

TEST_CASE("what a constructor prints is no part of the answer, with standard error closed too") {
  for (const char* redirection : {" 2>/dev/null", " 2>&-"}) {
    CAPTURE(redirection);
    const std::string command = std::string("exec ") + SONICORN_EXECUTABLE + " trial-load " +
                                fixture("constructor_prints").string() + redirection;
    FILE* const child = ::popen(command.c_str(), "re");
    REQUIRE(child != nullptr);
    char answer[256];
    const std::size_t size = std::fread(answer, 1, sizeof(answer), child);
    CHECK(::pclose(child) == 0);
    CHECK(std::string_view(answer, size) == trial::kLoaded);
  }
}

TEST_CASE("a child whose parent is gone already ends without loading") {
  int ends[2];
  REQUIRE(::pipe2(ends, O_CLOEXEC) == 0);
  ::close(ends[0]);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
  std::string arguments[] = {SONICORN_EXECUTABLE, "trial-load",
                             fixture("constructor_crashes").string()};
  char* const argv[] = {arguments[0].data(), arguments[1].data(), arguments[2].data(), nullptr};
  pid_t child = -1;
  REQUIRE(::posix_spawn(&child, argv[0], &actions, nullptr, argv, environ) == 0);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(ends[1]);
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == EXIT_FAILURE);
}

}  // namespace
}  // namespace sonicorn::app
