#include "supervisor/names.hpp"

#include <doctest/doctest.h>

#include <string>
#include <vector>

// What apps are called.

using namespace sonicorn;
using namespace sonicorn::supervisor;

namespace {

Served served(const std::string& manifest_name, const std::string& given = {}) {
  Served app;
  app.wanted.name = given;
  auto build = std::make_shared<app::Build>();
  build->inspection.name = manifest_name;
  app.build = std::move(build);
  return app;
}

// What they are called after give_names(), or its fault.
std::vector<std::string> names(std::vector<Served>& apps) {
  std::vector<Served*> all;
  for (Served& app : apps) all.push_back(&app);
  if (const std::string fault = give_names(all); !fault.empty()) return {fault};
  std::vector<std::string> result;
  for (const Served& app : apps) result.push_back(app.name);
  return result;
}

}  // namespace

TEST_SUITE("supervisor.names") {
  using Names = std::vector<std::string>;

  TEST_CASE("the second app of a name gets a number, and a name that is given is given") {
    std::vector apps{served("hello"), served("hello"), served("hello-2"), served("a", "hello-3"),
                     served("hello")};
    CHECK(names(apps) == Names{"hello", "hello-2", "hello-2-2", "hello-3", "hello-4"});
  }

  TEST_CASE("who has a name keeps it, whoever leaves or comes") {
    std::vector apps{served("hello"), served("hello")};
    names(apps);
    apps.erase(apps.begin());
    CHECK(names(apps) == Names{"hello-2"});
    apps.insert(apps.begin(), served("hello"));
    CHECK(names(apps) == Names{"hello", "hello-2"});
    apps.insert(apps.begin(), served("hello"));
    CHECK(names(apps) == Names{"hello-3", "hello", "hello-2"});
  }

  TEST_CASE("a build with another name is another name") {
    std::vector apps{served("hello"), served("hello")};
    names(apps);
    apps[0].build = served("bye").build;
    CHECK(names(apps) == Names{"bye", "hello-2"});
  }

  TEST_CASE("a name that is given to a second one while the first goes on is refused") {
    std::vector apps{served("hello")};
    names(apps);
    apps.push_back(served("other", "hello"));
    apps[0].wanted.mount = "/one";
    apps[1].wanted.mount = "/two";
    CHECK(names(apps) ==
          Names{"the apps at /one and /two would both be named hello; give one another name"});
  }
}
