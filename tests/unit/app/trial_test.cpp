#include "app/trial.hpp"

#include <doctest/doctest.h>

#include "app/module.hpp"
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

}  // namespace
}  // namespace sonicorn::app
