#include <algorithm>

#include "support/contract.hpp"
#include "support/support.hpp"

// One request through an app without a socket: `sonicorn call`.

using namespace support;
using std::string;

namespace {

Outcome call(const Contract& contract, std::vector<string> request,
             const string& fixture_name = "contract_all") {
  std::vector<string> arguments{"call", fixture(fixture_name).string()};
  arguments.insert(arguments.end(), request.begin(), request.end());
  arguments.insert(arguments.end(), {"--settings", contract.settings_json("app")});
  return run_sonicorn(arguments, {{"TMPDIR", contract.folder().path()}});
}

std::vector<string> begun(const Contract& contract) {
  std::vector<string> calls;
  for (const Json& line : contract.journal()) {
    if (line["phase"] == "begin") calls.push_back(line["call"]);
  }
  return calls;
}

}  // namespace

TEST_SUITE("call") {
  TEST_CASE("one call is a whole life in order, and leaves nothing behind") {
    for (const char* const fixture_name : {"contract_all", "contract_inline"}) {
      const Contract contract;
      const Outcome outcome = call(contract, {"/x?id=1"}, fixture_name);
      CHECK(outcome.ending.status == 0);
      CHECK(outcome.output ==
            string(fixture_name == string("contract_all") ? "contract-all" : "contract-inline") +
                "\n");
      CHECK(begun(contract) == std::vector<string>{"start", "thread_start", "pre_request",
                                                   "on_request", "post_request", "drain",
                                                   "thread_exit", "shutdown"});
      for (const Json& line : contract.journal()) {
        CHECK(line["process_role"] == 2);
        CHECK(line["generation"] == 1);
        CHECK(line["state"] == true);
        CHECK(line["context_thread"] == line["thread"]);
      }
      const Json shutdown = contract.journal().back();
      CHECK(shutdown["reason"] == 13);
      CHECK(shutdown["signal"] == 0);
      CHECK(shutdown["thread"] == contract.journal().front()["thread"]);
      // The journal and the gate are all that there is.
      const std::filesystem::directory_iterator left(contract.folder().path());
      CHECK(std::distance(begin(left), end(left)) == 2);
    }
  }

  TEST_CASE("an app gets what one call can keep, and what is withheld is not in it") {
    const Contract contract;
    const auto ask_for = [&](const string& id, std::vector<string> more = {}) {
      std::vector<string> request{"/?do=capability", "-d", id};
      request.insert(request.end(), more.begin(), more.end());
      return call(contract, request).output;
    };
    for (const char* const id : {"shutdown/1", "drain/1", "log/1", "timer/1", "background/1",
                                 "metrics/1", "thread_check/1", "request_events/1"}) {
      CHECK_MESSAGE(ask_for(id) == "table", id);
    }
    for (const char* const id : {"reload/1", "bus/1", "control/1", "events/1", "state/1"}) {
      CHECK_MESSAGE(ask_for(id) == "NULL", id);
    }
    CHECK(ask_for("timer/1", {"--without", "timer"}) == "NULL");
    const Json promise =
        Json::parse(call(contract, {"/?do=promise&of=shutdown"}).output, nullptr, false);
    REQUIRE(promise.is_object());
    CHECK(promise["signals"] == 0);
    CHECK(promise["reasons"] == 1u << 13);
  }

  TEST_CASE("an app that requires what one call cannot give is refused by name") {
    const Contract contract;
    CHECK(call(contract, {"/"}, "contract_requires").output == "with a timer\n");
    const Outcome refused = call(contract, {"/", "--without", "timer"}, "contract_requires");
    CHECK(refused.ending.status == 1);
    CHECK(refused.output.empty());
    CHECK(has_logged(refused.errors, {"contract_requires", "timer/1"}));
  }

  TEST_CASE("a failure anywhere in a call is told, is status 1, and the rest is still called") {
    const char* const attributes[] = {"on_request", "pre_request", "drain", "shutdown",
                                      "thread_start"};
    for (const string attribute : attributes) {
      for (const char* const how : {"fail", "throw", "least"}) {
        CAPTURE(attribute);
        CAPTURE(how);
        const Contract contract;
        contract.steer("app", attribute + "=" + how);
        const Outcome outcome = call(contract, {"-i", "/"});
        CHECK(outcome.ending.status == 1);
        CHECK(has_logged(outcome.errors, {"app contract-all", attribute}));
        const auto calls = begun(contract);
        CHECK(std::count(calls.begin(), calls.end(), "shutdown") == 1);
        CHECK(calls.back() == "shutdown");
        if (attribute.ends_with("_request")) {
          CHECK(outcome.output.starts_with("HTTP/1.1 500"));
          CHECK(outcome.output.find("steered") == string::npos);
        }
        if (attribute == "thread_start") {
          CHECK(std::count(calls.begin(), calls.end(), "on_request") == 0);
          CHECK(std::count(calls.begin(), calls.end(), "thread_exit") == 0);
        }
      }
    }
  }

  TEST_CASE("an app that does not start is not called, and a declined request is an answer") {
    const Contract contract;
    contract.steer("app", "start=fail");
    const Outcome refused = call(contract, {"/"});
    CHECK(refused.ending.status == 1);
    CHECK(refused.output.empty());
    CHECK(has_logged(refused.errors, {"start", "steered to fail"}));
    CHECK(begun(contract) == std::vector<string>{"start"});
    contract.steer("app", "on_request=decline");
    const Outcome declined = call(contract, {"-i", "/"});
    CHECK(declined.ending.status == 0);
    CHECK(declined.output.starts_with("HTTP/1.1 404"));
  }

  TEST_CASE("an app that ends its process is named, and is status 1") {
    for (const string how : {"segv", "abort", "exit3"}) {
      // Sanitizers take these signals for themselves.
      if (has_sanitizer() && how != "exit3") continue;
      CAPTURE(how);
      const Contract contract;
      const Outcome outcome = call(contract, {"/" + how}, "crashes");
      CHECK(outcome.ending.status == 1);
      CHECK(outcome.output.empty());
      CHECK(has_logged(outcome.errors, {"app crashes", "on_request", "ended the"}));
      CHECK(has_logged(outcome.errors, {"crashed at #"}));
    }
  }

  TEST_CASE("an app that is no handler, or declares nothing, answers a call with a 404") {
    for (const char* const fixture_name : {"contract_filter", "contract_none"}) {
      const Contract contract;
      const Outcome outcome = call(contract, {"-i", "/"}, fixture_name);
      CHECK(outcome.ending.status == 0);
      CHECK(outcome.output.starts_with("HTTP/1.1 404"));
      if (fixture_name == string("contract_none")) CHECK(contract.journal().empty());
    }
  }

  TEST_CASE("head, method, fields and body of a call are those of a request") {
    const auto echo = [](std::vector<string> arguments) {
      arguments.insert(arguments.begin(), {"call", fixture("echo").string()});
      return run_sonicorn(arguments);
    };
    CHECK(echo({"/?show=method"}).output == "GET");
    CHECK(echo({"PUT", "/?show=method"}).output == "PUT");
    CHECK(echo({"/?show=method", "-d", "x"}).output == "POST");
    CHECK(echo({"/", "-d", "the body"}).output == "the body");
    CHECK(echo({"-i", "/"}).output.starts_with("HTTP/1.1 200 OK\r\n"));
    CHECK(echo({"no-slash"}).ending.status == 2);
    CHECK(echo({"/", "-H", "no colon"}).ending.status == 2);
    CHECK(echo({"/", "--settings", "[1]"}).ending.status == 2);
    CHECK(echo({"/", "--without", "nothing-like-it"}).ending.status == 2);
    CHECK(run_sonicorn({"call", "/nowhere.so", "/"}).ending.status == 1);
  }

  TEST_CASE("code of the app that goes on after a call does no harm") {
    const Outcome busy = run_sonicorn({"call", fixture("leaves_busy_thread").string(), "/"});
    CHECK_MESSAGE(busy.ending.status == 0, busy.errors);
    const Outcome spoke = run_sonicorn({"call", fixture("speaks_last").string(), "/?thread"});
    CHECK_MESSAGE(spoke.ending.status == 0, spoke.errors);
    CHECK(spoke.output == "speaks last\n");
    CHECK_MESSAGE(spoke.errors.find("the object of a thread has no timer") != string::npos,
                  spoke.errors);
  }

  TEST_CASE("a background thread of the app ends with the call") {
    const Contract contract;
    string settings = contract.settings_json("app");
    settings.insert(1, "\"background\":\"obedient\",");
    const Outcome outcome =
        run_sonicorn({"call", fixture("contract_all").string(), "/", "--settings", settings});
    CHECK(outcome.ending.status == 0);
    CHECK(contract.calls("contract-all", "background_end", "note").size() == 1);
    CHECK(contract.journal().back()["call"] == "shutdown");
  }
}
