#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include <sonicorn/testing/test_host.hpp>
#include <string>
#include <vector>

using namespace std::chrono_literals;
namespace testing = sonicorn::testing;

TEST_CASE("a thread of the server's does a piece of work a second, and ends before shutdown") {
  testing::Host host;
  auto app = host.load(APP);
  app.start();
  host.advance(3s);
  CHECK(app.get("/").body == "The background thread has done 3 pieces of work.\n");
  app.shutdown(sonicorn::Reason::term);
  CHECK(app.log() == std::vector<std::string>{"the background thread runs",
                                              "the background thread puts its work away",
                                              "asked to stop: term"});
}

TEST_CASE("without background/1 the thread is its own, and shutdown ends it") {
  testing::Host host({.without = {"background/1"}});
  auto app = host.load(APP);
  app.start();
  CHECK(app.get("/").status == 200);
  app.shutdown();
  CHECK(app.log().back() == "the thread of its own has ended");
}

TEST_CASE("without a promise of shutdown it says what may happen") {
  testing::Host host({.without = {"background/1", "shutdown/1"}});
  auto app = host.load(APP);
  app.start();
  CHECK(app.logged("the thread may be cut off"));
}
