#include "config/file.hpp"

#include <doctest/doctest.h>

#include <string>

namespace sonicorn::config {
namespace {

using std::chrono::milliseconds;

struct Outcome {
  Config config;
  std::vector<core::Error> errors;
};

Outcome read(std::string_view text, bool files_exist = true,
             const std::filesystem::path& file = "etc/app.toml") {
  Outcome outcome;
  outcome.errors = read_text(
      text, file, [files_exist](const std::filesystem::path&) { return files_exist; },
      outcome.config);
  return outcome;
}

std::string only_error(std::string_view text, std::string_view id) {
  const Outcome outcome = read(text);
  REQUIRE(outcome.errors.size() == 1);
  CHECK(outcome.errors.front().id == id);
  CHECK(outcome.errors.front().message.find('\n') == std::string::npos);
  return outcome.errors.front().message;
}

TEST_CASE("a capability that is none cannot be withheld") {
  CHECK(
      only_error("without = [\"relod\"]\n[[app]]\nfile = \"a.so\"", "config.unknown_capability") ==
      "etc/app.toml:1:12: \"relod\" is no capability of this server; did you mean \"reload\"?");
  CHECK(only_error("without = \"reload\"\n[[app]]\nfile = \"a.so\"", "config.wrong_type")
            .find("an array of capabilities") != std::string::npos);
  CHECK(only_error("[[app]]\nfile = \"a.so\"\noverrun = \"kil\"", "config.out_of_range")
            .find("did you mean \"kill\"?") != std::string::npos);
}

TEST_CASE("every key of the file reaches the configuration") {
  const Outcome outcome = read(R"(
bind = ["0.0.0.0:80", "unix:run/app.sock"]
threads = 3
blocking_threads = 7
grace = 1.5
load_time = 2
skip_broken = true
runtime_dir = "run"
log_level = "debug"
log_format = "json"
log_file = "log/server.log"
access_log = "/var/log/access.log"
access_log_format = "common"
without = ["reload", "bus/1"]
admin = "run/admin.sock"
[lifecycle]
start_time = 6
call_time = 7
health_time = 8
health_interval = 0
overrun = "wait"
[limits]
request_line = 1000
field = 1001
fields = 11
head = 1002
body = 1003
connections = 12
queue = 13
bus_queue = 16
keep_alive_requests = 14
head_time = 1
body_grace = 2
body_rate = 15
keep_alive_time = 3
write_time = 4.25
request_time = 5
loop_time = 6
queue_time = 7
[workers]
count = 4
crashes = 17
crash_time = 8
backoff = 0.2
backoff_most = 9
backoff_reset = 10
max_requests = 18
max_requests_jitter = 19
max_lifetime = 11
max_memory = 20
[[app]]
file = "hello.so"
[[app]]
file = "/opt/todo.so"
mount = "/todo/"
name = "my-todo"
max_body = 2048
[app.settings]
database = "todo.db"
)");
  REQUIRE(outcome.errors.empty());
  const Config& config = outcome.config;
  CHECK(config.binds == std::vector<Bind>{{Bind::Kind::tcp, "0.0.0.0", 80, ""},
                                          {Bind::Kind::unix_socket, "", 0, "etc/run/app.sock"}});
  CHECK(config.threads == 3);
  CHECK(config.blocking_threads == 7);
  const Workers& workers = config.workers;
  CHECK(workers.count == 4);
  CHECK(workers.crashes == 17);
  CHECK(workers.crash_time == milliseconds(8000));
  CHECK(workers.backoff == milliseconds(200));
  CHECK(workers.backoff_most == milliseconds(9000));
  CHECK(workers.backoff_reset == milliseconds(10'000));
  CHECK(workers.max_requests == 18);
  CHECK(workers.max_requests_jitter == 19);
  CHECK(workers.max_lifetime == milliseconds(11'000));
  CHECK(workers.max_memory == 20);
  CHECK(config.limits.loop_time == milliseconds(6000));
  CHECK(config.grace == milliseconds(1500));
  CHECK(config.load_time == milliseconds(2000));
  CHECK(config.skip_broken);
  CHECK(config.runtime_dir == "etc/run");
  CHECK(config.log_level == core::log::Level::debug);
  CHECK(config.log_format == core::log::Format::json);
  CHECK(config.log_file == "etc/log/server.log");
  CHECK(config.access_log == "/var/log/access.log");
  CHECK(config.access_log_format == AccessLogFormat::common);
  CHECK(config.without == std::vector<std::string>{"reload", "bus/1"});
  CHECK(config.control == "etc/run/admin.sock");
  CHECK(config.lifecycle.start_time == milliseconds(6000));
  CHECK(config.lifecycle.call_time == milliseconds(7000));
  CHECK(config.lifecycle.health_time == milliseconds(8000));
  CHECK(config.lifecycle.health_interval == milliseconds(0));
  CHECK(config.lifecycle.overrun == Overrun::wait);
  const Limits& limits = config.limits;
  CHECK(limits.request_line == 1000);
  CHECK(limits.field == 1001);
  CHECK(limits.fields == 11);
  CHECK(limits.head == 1002);
  CHECK(limits.body == 1003);
  CHECK(limits.connections == 12);
  CHECK(limits.queue == 13);
  CHECK(limits.bus_queue == 16);
  CHECK(limits.keep_alive_requests == 14);
  CHECK(limits.head_time == milliseconds(1000));
  CHECK(limits.body_grace == milliseconds(2000));
  CHECK(limits.body_rate == 15);
  CHECK(limits.keep_alive_time == milliseconds(3000));
  CHECK(limits.write_time == milliseconds(4250));
  CHECK(limits.request_time == milliseconds(5000));
  CHECK(limits.queue_time == milliseconds(7000));
  REQUIRE(config.apps.size() == 2);
  CHECK(config.apps[0].file == "etc/hello.so");
  CHECK(config.apps[0].mount == "/");
  CHECK(config.apps[0].settings == "{}");
  CHECK(config.apps[0].where == "etc/app.toml:51");
  CHECK(config.apps[1].file == "/opt/todo.so");
  CHECK(config.apps[1].mount == "/todo");
  CHECK(config.apps[1].name == "my-todo");
  CHECK(config.apps[1].body == 2048);
  CHECK(config.apps[1].settings == R"({"database":"todo.db"})");
}

TEST_CASE("a key that is absent leaves what was there") {
  Config config;
  config.threads = 9;
  CHECK(read_text("grace = 1", "a.toml", is_file, config).empty());
  CHECK(config.threads == 9);
  CHECK(config.limits.body == 1024 * 1024);
}

TEST_CASE("a file beside the working folder names apps as they are written") {
  const Outcome outcome = read("[[app]]\nfile = \"./hello.so\"", true, "app.toml");
  REQUIRE(outcome.errors.empty());
  CHECK(outcome.config.apps.front().file == "./hello.so");
}

TEST_CASE("settings of every type become JSON") {
  const Outcome outcome = read(R"(
[[app]]
file = "a.so"
[app.settings]
text = "a\n"
whole = -3
fraction = 0.5
yes = true
day = 2026-11-23
hour = 07:32:00.25
moment = 2026-11-23T07:32:00Z
there = 2026-11-23T07:32:00-02:30
local = 2026-11-23T07:32:00
list = [1, "two", [3.5]]
[app.settings.deep.er]
key = "value"
)");
  REQUIRE(outcome.errors.empty());
  CHECK(outcome.config.apps.front().settings ==
        R"({"day":"2026-11-23","deep":{"er":{"key":"value"}},"fraction":0.5,"hour":"07:32:00.25",)"
        R"("list":[1,"two",[3.5]],"local":"2026-11-23T07:32:00","moment":"2026-11-23T07:32:00Z",)"
        R"("text":"a\n","there":"2026-11-23T07:32:00-02:30","whole":-3,"yes":true})");
}

TEST_CASE("settings that JSON cannot hold are refused") {
  CHECK(only_error("[[app]]\nfile = \"a.so\"\nsettings = { x = inf }", "config.bad_settings")
            .starts_with("etc/app.toml:3:"));
  only_error("[[app]]\nfile = \"a.so\"\nsettings = { x = [nan] }", "config.bad_settings");
  std::string deep(100, '[');
  deep += std::string(100, ']');
  only_error("[[app]]\nfile = \"a.so\"\nsettings = { x = " + deep + " }", "config.bad_settings");
}

TEST_CASE("an unknown key is named with its place and the one that was meant") {
  CHECK(only_error("grace = 1\n  thread = 4", "config.unknown_key") ==
        "etc/app.toml:2:3: unknown key \"thread\"; did you mean \"threads\"?");
  CHECK(only_error("[limits]\nbodi = 1", "config.unknown_key") ==
        "etc/app.toml:2:1: unknown key \"bodi\" in limits; did you mean \"body\"?");
  CHECK(only_error("[[app]]\nfile = \"a.so\"\ncertificate = 1", "config.unknown_key") ==
        "etc/app.toml:3:1: unknown key \"certificate\" in app; known here: file, mount, name, "
        "max_body, overrun, "
        "settings");
  only_error("\"a\\nb\" = 1", "config.unknown_key");
}

TEST_CASE("a wrong type is named with what is allowed") {
  CHECK(only_error("threads = \"4\"", "config.wrong_type") ==
        "etc/app.toml:1:11: threads is a string; allowed is a whole number from 1 to 1024");
  only_error("threads = 1.0", "config.wrong_type");
  only_error("grace = true", "config.wrong_type");
  only_error("skip_broken = 1", "config.wrong_type");
  only_error("log_level = 1", "config.wrong_type");
  CHECK(only_error("log_format = true", "config.wrong_type") ==
        "etc/app.toml:1:14: log_format is true or false; allowed is \"text\" or \"json\"");
  only_error("log_file = 2", "config.wrong_type");
  CHECK(only_error("access_log = true", "config.wrong_type") ==
        "etc/app.toml:1:14: access_log is true or false; allowed is the path of a file, in quotes, "
        "or \"-\" for standard output");
  only_error("access_log_format = 1", "config.wrong_type");
  only_error("bind = 8000", "config.wrong_type");
  only_error("bind = [8000]", "config.wrong_type");
  only_error("limits = 1", "config.wrong_type");
  only_error("app = 1", "config.wrong_type");
  only_error("app = [1]", "config.wrong_type");
  only_error("[app]\nfile = \"a.so\"", "config.wrong_type");
  only_error("[[app]]\nfile = \"a.so\"\nsettings = 1", "config.wrong_type");
}

TEST_CASE("a value out of range is named with what is allowed") {
  CHECK(only_error("threads = 0", "config.out_of_range") ==
        "etc/app.toml:1:11: threads is 0; allowed is a whole number from 1 to 1024");
  CHECK(only_error("grace = -1", "config.out_of_range") ==
        "etc/app.toml:1:9: grace is -1; allowed is a number of seconds from 0 to 86400");
  only_error("grace = nan", "config.out_of_range");
  only_error("grace = inf", "config.out_of_range");
  only_error("runtime_dir = \"\"", "config.out_of_range");
  only_error("runtime_dir = \"a\\u0000b\"", "config.out_of_range");
  CHECK(only_error("log_level = \"warn\"", "config.out_of_range") ==
        "etc/app.toml:1:13: log_level is \"warn\"; did you mean \"warning\"?");
  CHECK(only_error("log_format = \"jsonl\"", "config.out_of_range") ==
        "etc/app.toml:1:14: log_format is \"jsonl\"; did you mean \"json\"?");
  CHECK(only_error("access_log_format = \"clf\"", "config.out_of_range") ==
        "etc/app.toml:1:21: access_log_format is \"clf\"; known here: common, combined, json");
  only_error("log_file = \"\"", "config.out_of_range");
  only_error("access_log = \"\"", "config.out_of_range");
  CHECK(only_error("[limits]\nbody = -1", "config.out_of_range") ==
        "etc/app.toml:2:8: limits.body is -1; allowed is a whole number of bytes from 0 to "
        "17179869184");
}

TEST_CASE("standard output is not a file of the folder") {
  const Outcome outcome = read("access_log = \"-\"");
  REQUIRE(outcome.errors.empty());
  CHECK(outcome.config.access_log == "-");
  CHECK(outcome.config.access_log_format == AccessLogFormat::combined);
}

TEST_CASE("a bad address, mount or name is refused where it stands") {
  CHECK(only_error("bind = [\"127.0.0.1:80\",\n\"localhost\"]", "config.bad_bind")
            .starts_with("etc/app.toml:2:1: bind \"localhost\": no port is given;"));
  CHECK(only_error("[[app]]\nfile = \"a.so\"\nmount = \"api\"", "config.bad_mount")
            .starts_with("etc/app.toml:3:9: mount \"api\": "));
  only_error("[[app]]\nfile = \"a.so\"\nname = \"a/b\"", "config.bad_name");
}

TEST_CASE("an app needs a file, and the file must be there") {
  CHECK(only_error("[[app]]\nmount = \"/a\"", "config.missing_key")
            .starts_with("etc/app.toml:1:1: "));
  const Outcome outcome = read("[[app]]\nfile = \"a.so\"", false);
  REQUIRE(outcome.errors.size() == 1);
  CHECK(outcome.errors.front().id == "config.missing_file");
  CHECK(outcome.errors.front().message.starts_with(
      "etc/app.toml:2:8: app.file is \"a.so\", and there is no such file (looked for "
      "\"etc/a.so\")"));
}

TEST_CASE("the same file may be mounted twice, but not on the same mount") {
  CHECK(read("[[app]]\nfile = \"a.so\"\n[[app]]\nfile = \"a.so\"\nmount = \"/a\"").errors.empty());
  CHECK(read("[[app]]\nfile = \"a.so\"\n[[app]]\nfile = \"b.so\"").errors.empty());
  const std::string error =
      only_error("[[app]]\nfile = \"a.so\"\n[[app]]\nfile = \"./a.so\"", "config.duplicate_app");
  CHECK(error.starts_with("etc/app.toml:3:1: "));
  CHECK(error.find("see etc/app.toml:1") != std::string::npos);
}

TEST_CASE("no two apps may be given one name") {
  const std::string one = "[[app]]\nfile = \"a.so\"\nname = \"x\"\n";
  const std::string error =
      only_error(one + "[[app]]\nfile = \"b.so\"\nname = \"x\"\n", "config.duplicate_name");
  CHECK(error.starts_with("etc/app.toml:4:1: app.name is \"x\" here and at etc/app.toml:1; "));
  CHECK(read(one + "[[app]]\nfile = \"b.so\"\nname = \"y\"\n").errors.empty());
}

TEST_CASE("all errors are reported, in the order of the text") {
  const Outcome outcome = read("threads = 0\nbogus = 1\nbind = \"x\"\n[limits]\nbody = 1.5");
  REQUIRE(outcome.errors.size() == 4);
  for (std::size_t i = 0; i < 4; ++i) {
    const std::size_t line = i == 3 ? 5 : i + 1;
    CHECK(outcome.errors[i].message.starts_with("etc/app.toml:" + std::to_string(line) + ":"));
  }
}

TEST_CASE("characters beyond ASCII are refused outside of strings and kept inside") {
  only_error("b\u0618 = 1", "config.syntax");
  only_error("grace\u00a7= 1", "config.syntax");
  only_error("grace = 1 \u0618", "config.syntax");
  const Outcome outcome = read("[[app]]\nfile = \"\"\"\\\n\u00a7.so\"\"\"");
  REQUIRE(outcome.errors.empty());
  CHECK(outcome.config.apps.front().file == "etc/\u00a7.so");
}

TEST_CASE("what is not TOML is refused at its line") {
  CHECK(only_error("grace = 1\nthreads = = 4", "config.syntax").starts_with("etc/app.toml:2:"));
  only_error("threads = 1\nthreads = 2", "config.syntax");
  only_error("threads = 99999999999999999999", "config.syntax");
  only_error("a = \"\xff\"", "config.syntax");
  only_error("a = n\n", "config.syntax");
  for (const char* text :
       {"[[[a]]]", "[[=", "[.b] = 1", "[", "[[", "[a", "a =", "a = {", "a = ["}) {
    CAPTURE(text);
    only_error(text, "config.syntax");
  }
  only_error("a = \"\n\"", "config.syntax");
}

}  // namespace
}  // namespace sonicorn::config
