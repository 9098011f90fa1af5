#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "support/support.hpp"

// What `serve` does with apps that it cannot run: it says which, why and what to do, and binds
// nothing.

using namespace support;
using std::string;

namespace {

// `load_time` as in a configuration. It is short only for a load that hangs; any other may take its
// time on a busy machine.
string configuration(const TemporaryFolder& folder, const string& apps,
                     const string& load_time = "60") {
  write_file(folder / "c.toml", "bind = \"127.0.0.1:0\"\nload_time = " + load_time + "\n" + apps);
  return folder / "c.toml";
}

string refusal_of(const string& name) {
  const TemporaryFolder folder;
  const string load_time = name == "constructor_hangs" ? "1" : "60";
  const Outcome outcome =
      run_sonicorn({"serve", "-c", configuration(folder, app_entry("/", name), load_time)},
                   {{"TMPDIR", folder.path()}});
  CAPTURE(outcome.errors);
  CHECK(outcome.ending.signal == 0);
  CHECK(outcome.ending.status != 0);
  CHECK(outcome.output.find("Listening") == string::npos);
  CHECK(outcome.errors.find(name + ".so") != string::npos);
  return outcome.errors;
}

}  // namespace

TEST_SUITE("refuse") {
  TEST_CASE("an app file or folder that others may change is refused where that is asked for") {
    const TemporaryFolder folder;
    const auto inner = folder / "inner";
    std::filesystem::create_directory(inner);
    const string app = inner / "start_fails.so";
    std::filesystem::copy_file(fixture("start_fails"), app);
    // The app would be loaded, and then refuses by itself.
    const auto refusal = [&](const string& flag) {
      const Outcome outcome = run_sonicorn({"serve", app, "--bind", "127.0.0.1:0", flag});
      CHECK(outcome.ending.status == 1);
      return outcome.errors;
    };
    const string loaded = "the database is away";
    ::chmod(app.c_str(), 0755);
    ::chmod(inner.c_str(), 0755);
    CHECK(refusal("--check-owners").find(loaded) != string::npos);
    ::chmod(app.c_str(), 0775);
    const string file = refusal("--check-owners");
    CHECK_MESSAGE(file.find("chmod go-w " + app) != string::npos, file);
    CHECK(file.find(loaded) == string::npos);
    CHECK(refusal("--no-check-owners").find(loaded) != string::npos);
    ::chmod(app.c_str(), 0755);
    ::chmod(inner.c_str(), 01777);
    const string sticky = refusal("--check-owners");
    CHECK_MESSAGE(sticky.find(inner.string() + " may be written to by everybody") != string::npos,
                  sticky);
    if (::geteuid() == 0) {
      CHECK(refusal("--log-level=info").find(loaded) == string::npos);
    } else {
      CHECK(refusal("--log-level=info").find(loaded) != string::npos);
    }
  }

  TEST_CASE("a library that others may change is refused as the app's file is") {
    const TemporaryFolder folder;
    const auto libraries = folder / "libraries";
    std::filesystem::copy(fixture("needs_beside").parent_path() / "beside_one", libraries);
    // Found through a variable, so that it is loaded from where it lies.
    const auto refusal = [&](const string& flag) {
      Process server({executable(), "serve", fixture("needs_beside").string(), "--bind",
                      "127.0.0.1:0", "--control", (folder / "control").string(), flag},
                     {{"LD_LIBRARY_PATH", libraries.string()}});
      if (server.wait_for_errors("listening on")) server.send_signal(SIGTERM);
      REQUIRE(server.wait().has_value());
      return server.errors();
    };
    ::chmod(libraries.c_str(), 0755);
    CHECK(refusal("--check-owners").find("listening on") != string::npos);
    ::chmod(libraries.c_str(), 0777);
    const string open = refusal("--check-owners");
    CHECK_MESSAGE(open.find("chmod go-w " + libraries.string()) != string::npos, open);
    CHECK(refusal("--no-check-owners").find("listening on") != string::npos);
    ::chmod(libraries.c_str(), 0755);
    ::chmod((libraries / "libbeside_inner.so").c_str(), 0666);
    const string file = refusal("--check-owners");
    CHECK_MESSAGE(
        file.find("chmod go-w " + (libraries / "libbeside_inner.so").string()) != string::npos,
        file);
  }

  TEST_CASE("an app that cannot be loaded is refused before anything is bound") {
    const std::vector<std::pair<string, string>> expected{
        {"wrong_major", "2"},
        {"newer_minor", "1.99"},
        {"missing_symbol", "function_that_nobody_defines"},
        {"data_attribute", "sonicorn_on_request"},
        {"requires_missing", "com.example.nothing/1"},
        {"bad_manifest", "blocking"},
        {"no_mark", "ABI"},
        {"constructor_crashes", "SIGSEGV"},
        {"constructor_hangs", "1 s"},
        {"constructor_exits", "exit"},
        {"start_fails", "the database is away"},
        {"constructor_throws", "no plutonium left"},
    };
    for (const auto& app : expected) {
      const string& name = app.first;
      CAPTURE(string(name));
      const string refusal = refusal_of(name);
      CHECK_MESSAGE(refusal.find(app.second) != string::npos, refusal);
    }
  }

  TEST_CASE("files that are no apps are refused") {
    const TemporaryFolder folder;
    write_file(folder / "text.so", "#!/bin/sh\n");
    write_file(folder / "empty.so", "");
    const string whole = read_file(fixture("echo"));
    write_file(folder / "cut.so", std::string_view(whole).substr(0, whole.size() / 3));
    for (const char* name : {"text.so", "empty.so", "cut.so", "missing.so"}) {
      CAPTURE(string(name));
      const Outcome outcome = run_sonicorn({"serve", "--bind", "127.0.0.1:0", folder / name});
      CHECK(outcome.ending.signal == 0);
      CHECK(outcome.ending.status != 0);
      CHECK(outcome.output.find("Listening") == string::npos);
      CHECK(outcome.errors.find(name) != string::npos);
      CHECK(outcome.errors.size() < 2000);
    }
  }

  TEST_CASE("one bad app among good ones keeps the server from starting") {
    const TemporaryFolder folder;
    const Outcome outcome = run_sonicorn(
        {"serve", "-c",
         configuration(folder, app_entry("/a", "echo") + app_entry("/b", "missing_symbol"))});
    CHECK(outcome.ending.status > 0);
    CHECK(outcome.output.find("Listening") == string::npos);
    CHECK(outcome.errors.find("missing_symbol.so") != string::npos);
  }

  TEST_CASE("of two handlers on one mount the second is refused, by the name of the first") {
    const TemporaryFolder folder;
    const Outcome outcome = run_sonicorn(
        {"serve", "-c",
         configuration(folder, app_entry("/a", "echo") + app_entry("/a", "echo_pool"))});
    CHECK(outcome.ending.status == 1);
    CHECK_MESSAGE(outcome.errors.find("refused") != string::npos, outcome.errors);
    CHECK_MESSAGE(outcome.errors.find("/a is taken by") != string::npos, outcome.errors);
    CHECK(outcome.errors.find("echo.so: give each app its own mount") != string::npos);
  }

  TEST_CASE("with --skip-broken the others are served") {
    for (const char* broken : {"missing_symbol", "constructor_crashes", "constructor_hangs",
                               "constructor_exits", "start_fails", "wrong_major"}) {
      CAPTURE(string(broken));
      // The good app is loaded within the same time.
      const string load_time = string(broken) == "constructor_hangs" ? "5" : "60";
      Server server({.toml = "load_time = " + load_time + "\n" + app_entry("/bad", broken) +
                             app_entry("/echo", "echo"),
                     .arguments = {"--skip-broken"}});
      CHECK(ask(server.tcp(), get("/echo?show=method")).body == "GET");
      CHECK(ask(server.tcp(), get("/bad")).status == 404);
      CHECK(server.process().wait_for_errors(string(broken) + ".so"));
    }
  }

  TEST_CASE("skip_broken of the configuration does the same") {
    Server server({.toml = "skip_broken = true\n" + app_entry("/bad", "wrong_major") +
                           app_entry("/echo", "echo")});
    CHECK(ask(server.tcp(), get("/echo")).status == 200);
  }

  TEST_CASE("apps with hazards, and an app that exports nothing, are served") {
    Server server(
        {.files = {mounted("/nodelete", "nodelete"), mounted("/tls", "static_tls"),
                   mounted("/unique", "unique_symbols"), mounted("/nothing", "exports_nothing"),
                   mounted("/misspelt", "misspelt"), mounted("/full", "full_manifest")}});
    CHECK(ask(server.tcp(), get("/nodelete")).body == "nodelete\n");
    CHECK(ask(server.tcp(), get("/tls")).body == "tls\n");
    CHECK(ask(server.tcp(), get("/unique")).body == "unique symbols\n");
    CHECK(ask(server.tcp(), get("/misspelt")).body == "misspelt\n");
    CHECK(server.process().wait_for_errors("sonicorn_shutdwon"));
  }

  TEST_CASE("an app that started is shut down when another cannot start") {
    const TemporaryFolder folder;
    const string journal = folder / "journal";
    const string settings = "settings = { journal = \"" + journal + "\" }";
    const Outcome outcome =
        run_sonicorn({"serve", "-c",
                      configuration(folder, app_entry("/a", "journal", settings) +
                                                app_entry("/b", "start_fails"))});
    CHECK(outcome.ending.status > 0);
    const auto lines = read_lines(journal);
    const auto calls = [&](const string& name) {
      return std::count_if(lines.begin(), lines.end(), [&](const string& line) {
        return line.find("\"call\":\"" + name + "\"") != string::npos;
      });
    };
    CHECK(calls("start") == 1);
    CHECK(calls("shutdown") == 1);
    REQUIRE(lines.size() >= 2);
    CHECK(lines[1].find("\"reason\":12") != string::npos);
  }
}
