#include <algorithm>

#include "support/support.hpp"

// The configuration file and the command line as a user meets them: errors with their place, exit
// statuses.

using namespace support;
using std::string;

namespace {

struct Checked {
  int status;
  string text;
};

Checked check(const TemporaryFolder& folder, const string& toml) {
  write_file(folder / "c.toml", toml);
  const Outcome outcome = run_sonicorn({"check", "-c", folder / "c.toml"});
  CHECK(outcome.ending.signal == 0);
  return {outcome.ending.status, outcome.output + outcome.errors};
}

}  // namespace

TEST_SUITE("config") {
  TEST_CASE("a configuration that says everything is right") {
    const TemporaryFolder folder;
    const Checked checked = check(
        folder,
        "bind = [\"127.0.0.1:0\", \"unix:" + (folder / "s").string() +
            "\"]\nthreads = 2\nblocking_threads = 8\ngrace = 1.5\nload_time = 2\nskip_broken = "
            "false\n"
            "runtime_dir = \"" +
            folder.path().string() +
            "\"\nlog_level = \"debug\"\n[limits]\nrequest_line = 4096\nfield = 4096\nfields = 50\n"
            "head = 16384\nbody = 1000\nconnections = 100\nqueue = 10\nkeep_alive_requests = 1000\n"
            "head_time = 5\nbody_grace = 10\nbody_rate = 100\nkeep_alive_time = 7.5\nwrite_time = "
            "3\n"
            "request_time = 4\n" +
            app_entry("/a", "echo",
                      "name = \"a\"\nmax_body = 5\n[app.settings]\nkey = \"value\"\n") +
            app_entry("/b", "echo_pool"));
    CHECK_MESSAGE(checked.status == 0, checked.text);
  }

  TEST_CASE("each mistake is told with its file and line") {
    const TemporaryFolder folder;
    const string app = app_entry("/", "echo");
    // The mistake is always in line 3.
    for (const char* mistake : {
             "treads = 2",
             "threads = \"two\"",
             "threads = 0",
             "threads = -1",
             "grace = \"long\"",
             "grace = -1",
             "bind = \"127.0.0.1:notaport\"",
             "bind = 8000",
             "skip_broken = \"yes\"",
             "log_level = \"loud\"",
             "threads = ",
             "= 2",
             "[limit]",
         }) {
      CAPTURE(string(mistake));
      const Checked checked = check(folder, "#\n#\n" + string(mistake) + "\n" + app);
      CAPTURE(checked.text);
      CHECK(checked.status == 1);
      CHECK(checked.text.find("c.toml:3") != string::npos);
    }
    for (const char* mistake : {"boddy = 1", "body = \"1 MiB\"", "body = -1", "head_time = []"}) {
      CAPTURE(string(mistake));
      const Checked checked = check(folder, "#\n[limits]\n" + string(mistake) + "\n" + app);
      CAPTURE(checked.text);
      CHECK(checked.status == 1);
      CHECK(checked.text.find("c.toml:3") != string::npos);
    }
    for (const char* mistake : {"mount = \"a\"", "file = 3", "file = \"no/such/app.so\"",
                                "mont = \"/\"", "settings = 3"}) {
      CAPTURE(string(mistake));
      const string rest = string(mistake).starts_with("file")
                              ? ""
                              : "file = \"" + fixture("echo").string() + "\"\n";
      const Checked checked = check(folder, "#\n[[app]]\n" + string(mistake) + "\n" + rest);
      CAPTURE(checked.text);
      CHECK(checked.status == 1);
      CHECK(checked.text.find("c.toml:3") != string::npos);
    }
  }

  TEST_CASE("all mistakes are told, one line each") {
    const TemporaryFolder folder;
    const Checked checked =
        check(folder, "treads = 2\ngrace = \"x\"\n[limits]\nboddy = 1\n" + app_entry("/", "echo"));
    CHECK(checked.status == 1);
    for (const char* place : {"c.toml:1", "c.toml:2", "c.toml:4"}) {
      CAPTURE(string(place));
      CHECK(checked.text.find(place) != string::npos);
    }
  }

  TEST_CASE("a configuration without an app, or none at all, is a mistake") {
    const TemporaryFolder folder;
    CHECK(check(folder, "threads = 1\n").status == 1);
    CHECK(check(folder, "").status == 1);
    const Outcome missing = run_sonicorn({"check", "-c", folder / "missing.toml"});
    CHECK(missing.ending.status == 1);
    CHECK((missing.output + missing.errors).find("missing.toml") != string::npos);
    CHECK(run_sonicorn({"check"}).ending.status == 2);
  }

  TEST_CASE("serve refuses a wrong configuration with the same words as check") {
    const TemporaryFolder folder;
    const auto checked =
        check(folder, "bind = \"127.0.0.1:0\"\ntreads = 2\n" + app_entry("/", "echo"));
    const Outcome served = run_sonicorn({"serve", "-c", folder / "c.toml"});
    CHECK(checked.status == 1);
    CHECK(served.ending.status > 0);
    CHECK(served.output.find("Listening") == string::npos);
    CHECK(served.errors.find("c.toml:2") != string::npos);
  }

  TEST_CASE("files of a configuration are looked for beside it") {
    const TemporaryFolder folder;
    std::filesystem::create_directory(folder / "apps");
    std::filesystem::copy_file(fixture("echo"), folder / "apps/echo.so");
    CHECK(check(folder, "[[app]]\nfile = \"apps/echo.so\"\n").status == 0);
  }

  TEST_CASE("the command line goes before the file") {
    const TemporaryFolder folder;
    // The file's bind would fail.
    Server server({.files = {mounted("/more", "echo")},
                   .toml = "bind = \"203.0.113.1:1\"\ngrace = 9\n" + app_entry("/s", "settings"),
                   .arguments = {"--grace", "3"}});
    CHECK(ask(server.tcp(), get("/s?show=promise")).body.find("\"grace_ms\":3000") != string::npos);
    CHECK(ask(server.tcp(), get("/more")).status == 200);
  }

  TEST_CASE("a wrong flag is one sentence that names it, and status 2") {
    for (const std::vector<string>& arguments : std::vector<std::vector<string>>{
             {"serve", "--treads", "2", fixture("echo")},
             {"serve", "--threads", "two", fixture("echo")},
             {"serve", "--threads", "0", fixture("echo")},
             {"serve", "--grace", "x", fixture("echo")},
             {"serve", "--bind"},
             {"surve", fixture("echo")},
             {"--bogus"},
         }) {
      CAPTURE(arguments[0]);
      const Outcome outcome = run_sonicorn(arguments);
      CAPTURE(outcome.errors);
      CHECK(outcome.ending.status == 2);
      CHECK(outcome.output.empty());
      CHECK(std::count(outcome.errors.begin(), outcome.errors.end(), '\n') == 1);
    }
  }

  TEST_CASE("help and version are answers, not mistakes") {
    const Outcome version = run_sonicorn({"--version"});
    CHECK(version.ending.status == 0);
    CHECK(version.output.find("sonicorn ") != string::npos);
    for (const std::vector<string>& arguments : std::vector<std::vector<string>>{
             {"--help"}, {"serve", "--help"}, {"inspect", "--help"}, {"check", "--help"}}) {
      const Outcome help = run_sonicorn(arguments);
      CHECK(help.ending.status == 0);
      CHECK(help.output.size() > 200);
      CHECK(help.errors.empty());
    }
    CHECK(run_sonicorn({}).ending.status == 2);
  }

  TEST_CASE("serve without an app is a mistake") {
    const Outcome outcome = run_sonicorn({"serve"});
    CHECK(outcome.ending.status > 0);
    CHECK(!outcome.errors.empty());
  }
}
