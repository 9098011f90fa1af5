#include "config/operation.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <string>

#include "config/file.hpp"
#include "config/load.hpp"

namespace sonicorn::config {
namespace {

using std::chrono::milliseconds;
using Words = std::vector<std::string>;

struct Outcome {
  Config config;
  std::vector<core::Error> errors;
};

Outcome read(std::string_view text) {
  Outcome outcome;
  outcome.errors = read_text(
      text, "etc/app.toml", [](const std::filesystem::path&) { return true; }, outcome.config);
  return outcome;
}

std::string only_error(std::string_view text, std::string_view id) {
  const Outcome outcome = read(text);
  REQUIRE(outcome.errors.size() == 1);
  CHECK(outcome.errors.front().id == id);
  CHECK(outcome.errors.front().message.find('\n') == std::string::npos);
  return outcome.errors.front().message;
}

TEST_CASE("a hook is a command line, an array of words, or a table with either") {
  const Outcome outcome = read(R"(
[hooks]
on_starting = "test -d /data"
when_ready = ["logger", "it is", ""]
pre_spawn = {command = "true", fatal = false}
worker_exit = {command = ["mail", "root"], time = 0.5, fatal = true}
[hooks.on_exit]
command = "rm -f x"
time = 3
)");
  REQUIRE(outcome.errors.empty());
  const Hooks& hooks = outcome.config.hooks;
  REQUIRE(hooks[Hook::on_starting]);
  CHECK(hooks[Hook::on_starting]->argv == Words{"/bin/sh", "-c", "test -d /data"});
  CHECK(hooks[Hook::on_starting]->text == "test -d /data");
  CHECK(hooks[Hook::on_starting]->time == milliseconds(10'000));
  CHECK(hooks[Hook::on_starting]->fatal);
  REQUIRE(hooks[Hook::when_ready]);
  CHECK(hooks[Hook::when_ready]->argv == Words{"logger", "it is", ""});
  CHECK_FALSE(hooks[Hook::when_ready]->fatal);
  REQUIRE(hooks[Hook::pre_spawn]);
  CHECK_FALSE(hooks[Hook::pre_spawn]->fatal);
  REQUIRE(hooks[Hook::worker_exit]);
  CHECK(hooks[Hook::worker_exit]->argv == Words{"mail", "root"});
  CHECK(hooks[Hook::worker_exit]->time == milliseconds(500));
  CHECK(hooks[Hook::worker_exit]->fatal);
  REQUIRE(hooks[Hook::on_exit]);
  CHECK(hooks[Hook::on_exit]->time == milliseconds(3000));
  CHECK_FALSE(hooks[Hook::on_reload]);
}

TEST_CASE("of the hooks, those that are asked before are fatal unless told otherwise") {
  for (std::size_t i = 0; i < kHookCount; ++i) {
    const auto hook = static_cast<Hook>(i);
    const Outcome outcome = read("[hooks]\n" + std::string(name_of(hook)) + " = \"true\"");
    REQUIRE(outcome.errors.empty());
    REQUIRE(outcome.config.hooks[hook]);
    CHECK(outcome.config.hooks[hook]->fatal ==
          (hook == Hook::on_starting || hook == Hook::pre_spawn));
  }
}

TEST_CASE("what is wrong with a hook is told with what is allowed") {
  CHECK(only_error("hooks = 1", "config.wrong_type") ==
        "etc/app.toml:1:9: hooks is a whole number; allowed is a table, which begins with [hooks]");
  CHECK(only_error("[hooks]\nwhen_redy = \"x\"", "config.unknown_key") ==
        "etc/app.toml:2:1: unknown key \"when_redy\" in hooks; did you mean \"when_ready\"?");
  CHECK(only_error("[hooks]\nwhen_ready = 1", "config.wrong_type") ==
        "etc/app.toml:2:14: hooks.when_ready is a whole number; allowed is a command line in "
        "quotes, an array like [\"program\", \"argument\"], or a table like {command = \"...\", "
        "time = 10, fatal = false}");
  CHECK(only_error("[hooks]\nwhen_ready = {time = 1}", "config.missing_key")
            .find("hooks.when_ready has no command") != std::string::npos);
  CHECK(only_error("[hooks]\nwhen_ready = {command = \"x\", tim = 1}", "config.unknown_key")
            .find("did you mean \"time\"?") != std::string::npos);
  for (const char* const wrong : {"\"\"", "[]", "[\"\"]", "\"a\\u0000\"", "[\"a\\u0000\"]"}) {
    CAPTURE(std::string(wrong));
    only_error("[hooks]\nwhen_ready = " + std::string(wrong), "config.out_of_range");
  }
  for (const char* const wrong : {"[1]", "{command = 1}", "{command = \"x\", time = \"1\"}",
                                  "{command = \"x\", fatal = 1}"}) {
    CAPTURE(std::string(wrong));
    only_error("[hooks]\nwhen_ready = " + std::string(wrong), "config.wrong_type");
  }
  for (const char* const wrong : {"0", "-1", "4000", "nan"}) {
    CAPTURE(std::string(wrong));
    const std::string text = "[hooks]\nwhen_ready = {command = \"x\", time = ";
    CHECK(only_error(text + wrong + "}", "config.out_of_range")
              .find("allowed is a number of seconds from 0.01 to 3600") != std::string::npos);
  }
}

TEST_CASE("who comes from gunicorn is told where its hooks went") {
  CHECK(only_error("[hooks]\npre_fork = \"x\"", "config.unknown_key") ==
        "etc/app.toml:2:1: unknown key \"pre_fork\" in hooks; write pre_spawn");
  CHECK(only_error("[hooks]\npre_request = \"x\"", "config.unknown_key")
            .ends_with("; export sonicorn_pre_request from an app"));
}

TEST_CASE("accounts, umask, PID file and the check of owners reach the configuration") {
  const Outcome outcome = read(
      "user = \"www-data\"\ngroup = 33\numask = \"027\"\npid_file = \"run/s.pid\"\n"
      "journal = \"run/journal\"\ncheck_owners = true\n");
  REQUIRE(outcome.errors.empty());
  CHECK(outcome.config.privileges.user == "www-data");
  CHECK(outcome.config.privileges.group == "33");
  CHECK(outcome.config.privileges.umask == 027U);
  CHECK(outcome.config.pid_file == "etc/run/s.pid");
  CHECK(outcome.config.journal == "etc/run/journal");
  CHECK(outcome.config.check_owners);
  CHECK_FALSE(Config{}.privileges.umask.has_value());
}

TEST_CASE("what is wrong with accounts and umask is told with what is allowed") {
  CHECK(only_error("umask = 27", "config.wrong_type") ==
        "etc/app.toml:1:9: umask is a whole number; allowed is an octal number from \"000\" to "
        "\"777\", in quotes");
  for (const char* const wrong :
       {"umask = \"028\"", "umask = \"1000\"", "umask = \"\"", "umask = \"-1\"", "user = \"\"",
        "user = -1", "group = 4294967295"}) {
    CAPTURE(std::string(wrong));
    only_error(wrong, "config.out_of_range");
  }
  for (const char* const wrong :
       {"user = true", "group = 1.5", "pid_file = 1", "journal = 1", "check_owners = \"yes\""}) {
    CAPTURE(std::string(wrong));
    only_error(wrong, "config.wrong_type");
  }
}

TEST_CASE("the flags of operation win over the file") {
  Flags flags;
  CHECK(load(flags).config.check_owners == (::geteuid() == 0));
  flags.check_owners = ::geteuid() != 0;
  flags.user = "nobody";
  flags.group = "7";
  flags.pid_file = "s.pid";
  flags.journal = "journal";
  const Config config = load(flags).config;
  CHECK(config.check_owners == (::geteuid() != 0));
  CHECK(config.privileges.user == "nobody");
  CHECK(config.privileges.group == "7");
  CHECK(config.pid_file == "s.pid");
  CHECK(config.journal == "journal");
  flags.user = "";
  const Loaded wrong = load(flags);
  REQUIRE_FALSE(wrong.errors.empty());
  CHECK(wrong.errors.back().id == "config.no_app");
  CHECK(wrong.errors.front().id == "config.bad_flag");
}

}  // namespace
}  // namespace sonicorn::config
