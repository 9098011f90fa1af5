#include "support/support.hpp"

// Apps that bring libraries of their own in their folder.

using namespace support;
using std::string;

namespace fs = std::filesystem;

namespace {

// A copy of the app with the libraries that answer `text` beside it.
string app_beside(const TemporaryFolder& folder, const string& text) {
  fs::copy(fixture("needs_beside").parent_path() / ("beside_" + text), folder.path());
  fs::copy(fixture("needs_beside"), folder.path());
  return folder / "needs_beside.so";
}

}  // namespace

TEST_SUITE("app_libraries") {
  TEST_CASE("a library beside an app that is truncated while it serves does no harm") {
    const TemporaryFolder folder;
    const Server server({.files = {"/=" + app_beside(folder, "one")}});
    CHECK(ask(server.tcp(), get("/")).body == "one");
    for (const char* library : {"libbeside.so", "libbeside_inner.so"}) {
      fs::resize_file(folder / library, 0);
    }
    CHECK(ask(server.tcp(), get("/")).body == "one");
  }

  TEST_CASE("two apps with the same libraries in different folders are served") {
    const TemporaryFolder one;
    const TemporaryFolder other;
    const Server server(
        {.files = {"/a=" + app_beside(one, "one"), "/b=" + app_beside(other, "one")}});
    CHECK(ask(server.tcp(), get("/a")).body == "one");
    CHECK(ask(server.tcp(), get("/b")).body == "one");
  }

  TEST_CASE("two apps with different libraries of one name are refused, and each alone is served") {
    const TemporaryFolder one;
    const TemporaryFolder two;
    const string first = app_beside(one, "one");
    const string second = app_beside(two, "two");
    const Outcome outcome =
        run_sonicorn({"serve", "--bind", "127.0.0.1:0", "/a=" + first, "/b=" + second});
    CAPTURE(outcome.errors);
    CHECK(outcome.ending.status > 0);
    CHECK(outcome.errors.find(one / "libbeside_inner.so") != string::npos);
    CHECK(outcome.errors.find(two / "libbeside_inner.so") != string::npos);
    const Server server({.files = {"/=" + second}});
    CHECK(ask(server.tcp(), get("/")).body == "two");
  }
}
