#include "support/contract.hpp"
#include "support/support.hpp"

// An app that installs a handler for, or blocks, a signal that the server owns is noticed at every
// lifecycle call, logged by name, and put right.

using namespace support;
using std::string;

namespace {

struct Meddling {
  string how;
  string said;
};
const std::vector<Meddling> kMeddling = {{"handle_term", "installed a handler for SIGTERM"},
                                         {"ignore_int", "had SIGINT ignored"},
                                         {"default_pipe", "set SIGPIPE back to its default"},
                                         {"block_pipe", "blocked SIGPIPE"},
                                         {"unblock_term", "unblocked SIGTERM"}};

// One server through all lifecycle calls, each of which meddles.
void meddle_everywhere(const Meddling& meddling) {
  CAPTURE(meddling.how);
  const Contract contract;
  const Endpoint admin{{}, {}, contract.folder() / "admin"};
  const string root = "admin = \"" + admin.path.string() + "\"\n" + patient_times();
  string steering;
  for (const char* const attribute :
       {"start", "health", "ready", "on_event", "reload", "describe", "drain", "shutdown"}) {
    steering += string(attribute) + "=" + meddling.how + "\n";
  }
  contract.steer("app", steering);
  Server server({.toml = root + contract.app("/", "contract_all", "app")});
  contract.wait_for("app", "on_event");
  write_file(server.folder() / "sonicorn.toml",
             root + contract.app("/", "contract_all", "app", "knob = 1"));
  server.process().send_signal(SIGHUP);
  contract.wait_for("app", "reload");
  CHECK(ask(admin, get("/apps")).status == 200);
  CHECK(ask(server.tcp(), get("/")).body == "app\n");
  CHECK(server.stop(SIGTERM).status == 0);
  for (const char* const attribute :
       {"start", "health", "ready", "on_event", "reload", "describe", "drain", "shutdown"}) {
    CHECK_MESSAGE(has_logged(server.log(), {"app app", string("in ") + attribute, meddling.said}),
                  attribute << ": " << server.log());
  }
  CHECK(contract.calls("app", "shutdown")[0]["signal"] == SIGTERM);
}

}  // namespace

TEST_SUITE("signals") {
  TEST_CASE("meddling with the server's signals is noticed at every lifecycle call and put right") {
    for (const Meddling& meddling : kMeddling) meddle_everywhere(meddling);
  }

  TEST_CASE("what a request did to the server's signals is noticed at the next lifecycle call") {
    const Contract contract;
    Server server({.toml = patient_times() + contract.app("/", "contract_all", "app")});
    for (const char* const how : {"handle_term", "ignore_int", "default_pipe"}) {
      contract.steer("app", string("on_request=") + how);
      CHECK(ask(server.tcp(), get("/")).status == 200);
    }
    server.process().send_signal(SIGHUP);
    CHECK(logs(server, {"app app", "installed a handler for SIGTERM"}));
    CHECK(logs(server, {"app app", "had SIGINT ignored"}));
    CHECK(logs(server, {"app app", "set SIGPIPE back to its default"}));
    CHECK(server.stop(SIGINT).status == 0);
    CHECK(contract.calls("app", "shutdown")[0]["reason"] == 2);
  }

  TEST_CASE("a request thread that takes SIGTERM does not end the server without shutdown") {
    for (const char* const fixture : {"contract_all", "contract_inline"}) {
      CAPTURE(fixture);
      const Contract contract;
      contract.steer("app", "on_request=unblock_term");
      Server server({.toml = patient_times() + contract.app("/", fixture, "app")});
      CHECK(ask(server.tcp(), get("/")).status == 200);
      const Ending ending = server.stop(SIGTERM);
      CHECK(ending.signal == 0);
      CHECK(ending.status == 0);
      CHECK(contract.calls("app", "shutdown").size() == 1);
    }
  }

  TEST_CASE("an app that has the stop signals ignored does not make the server deaf") {
    for (const int signal : {SIGTERM, SIGINT}) {
      Server server({.files = {mounted("/", "contract_ignores_signals")}});
      CHECK(ask(server.tcp(), get("/?again")).body == "deaf\n");
      CHECK(server.stop(signal).status == 0);
    }
  }
}
