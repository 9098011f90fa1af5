#include <csignal>
#include <nlohmann/json.hpp>

#include "support/contract.hpp"
#include "support/reloading.hpp"
#include "support/support.hpp"

// The build before is kept for a while, and the way back to it.

using namespace support;
using std::string;

namespace {

string body_of(const Server& server, const string& target = "/") {
  return ask(server.tcp(), get(target)).body;
}

}  // namespace

TEST_SUITE("probation") {
  TEST_CASE("a rollback returns to the build before, and a commit ends that") {
    const Builds builds("build_one");
    Server server({.toml = builds.toml()});
    CHECK(builds.operate({"rollback", "app"}).ending.status == 1);
    builds.install("build_two");
    CHECK(builds.reload());
    CHECK(body_of(server).starts_with("two "));
    CHECK(builds.operate({"rollback", "app"}).ending.status == 0);
    CHECK(body_of(server).starts_with("one "));
    CHECK(builds.reload());
    CHECK(builds.operate({"commit", "app"}).ending.status == 0);
    const Outcome late = builds.operate({"rollback", "app"});
    CHECK(late.ending.status == 1);
    CHECK(late.errors.find("no build before") != string::npos);
    CHECK(body_of(server).starts_with("two "));
  }

  TEST_CASE("a new build that crashes a worker or fails its requests is left again") {
    for (const string how : {"/crash", "/fail"}) {
      CAPTURE(how);
      const Builds builds("build_one");
      Server server({.toml = builds.toml()});
      server.expect_failure();
      builds.install("build_two");
      REQUIRE(builds.reload());
      if (how == "/crash") {
        CHECK_THROWS(ask(server.tcp(), get(how)));
      } else {
        for (int i = 0; i < 40; ++i) ask(server.tcp(), get(how));
      }
      CHECK(logs(server, {"generation 2 fails its probation"}));
      CHECK(logs(server, {"app app: generation 3 serves"}));
      CHECK(body_of(server).starts_with("one "));
    }
  }

  TEST_CASE("a new build that turns unhealthy is left again, also beside an app that is as well") {
    const Contract contract;
    const string control = contract.folder() / "control";
    const auto file = contract.folder() / "new.so";
    std::filesystem::copy_file(fixture("contract_all"), file);
    string toml = "control = \"" + control + "\"\n" + patient_times() + "health_interval = 0.1\n" +
                  contract.app("/ill", "contract_all", "ill") +
                  contract.app("/", "contract_all", "app");
    toml.replace(toml.rfind(fixture("contract_all").string()),
                 fixture("contract_all").string().size(), file.string());
    Server server({.toml = toml});
    contract.steer("ill", "health=fail");
    CHECK(logs(server, {"app ill: unhealthy"}));
    const Outcome reloaded = run_sonicorn({"reload", "app", "--control", control});
    REQUIRE_MESSAGE(reloaded.ending.status == 0, reloaded.errors);
    contract.steer("app", "health=fail");
    CHECK(logs(server, {"app app: generation", "fails its probation (it is unhealthy)"}));
    contract.steer("app", "");
    CHECK(eventually([&] {
      return run_sonicorn({"history", "app", "--control", control}).output.find("rollback") !=
             string::npos;
    }));
    contract.steer("ill", "");
  }

  TEST_CASE("probation ends after so many requests, where the setting says so") {
    const Builds builds("build_one");
    Server server({.toml = builds.toml(string(kQuick) + "[reload]\nprobation_requests = 5\n")});
    builds.install("build_two");
    REQUIRE(builds.reload());
    for (int i = 0; i < 5; ++i) CHECK(body_of(server).starts_with("two "));
    CHECK(eventually([&] {
      const Outcome history = builds.operate({"history", "app"});
      return history.output.find("commit") != string::npos;
    }));
    CHECK(builds.operate({"rollback", "app"}).ending.status == 1);
  }
}
