#include "supervisor/hooks.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "../app/temporary_folder.hpp"
#include "../process/signalled_children.hpp"

namespace sonicorn::supervisor {
namespace {

using config::Hook;
using nlohmann::json;
using namespace std::chrono_literals;

config::HookCommand script(const std::string& text, std::chrono::milliseconds time = 60s,
                           bool fatal = false) {
  return {{"/bin/sh", "-c", text}, text, time, fatal};
}

std::string read(const std::filesystem::path& file) {
  std::ifstream stream(file);
  return {std::istreambuf_iterator<char>(stream), {}};
}

TEST_CASE("a hook gets its context as JSON on its standard input") {
  const app::TemporaryFolder folder;
  process::Loop loop;
  config::Hooks commands;
  commands[Hook::when_ready] = script("cat > " + (folder.path() / "context").string());
  Hooks hooks(loop.io, loop.children, commands);
  CHECK(hooks.has(Hook::when_ready));
  CHECK_FALSE(hooks.has(Hook::on_exit));
  bool ended = false;
  hooks.run(Hook::when_ready, {{"addresses", {"http://a"}}, {"app", "\xff"}}, [&](bool ok) {
    CHECK(ok);
    ended = true;
  });
  CHECK_FALSE(ended);
  REQUIRE(loop.run_until([&] { return ended; }));
  const json context = json::parse(read(folder.path() / "context"));
  CHECK(context["hook"] == "when_ready");
  CHECK(context["pid"] == ::getpid());
  CHECK(context["version"].is_string());
  CHECK(context["addresses"] == json{"http://a"});
}

TEST_CASE("a hook that is not configured is done at once, but not before run returns") {
  process::Loop loop;
  Hooks hooks(loop.io, loop.children, {});
  bool ended = false;
  hooks.run(Hook::when_ready, json::object(), [&](bool ok) { ended = ok; });
  CHECK_FALSE(ended);
  CHECK(loop.run_until([&] { return ended; }));
  hooks.run(Hook::when_ready, json::object(), nullptr);
}

TEST_CASE("only a fatal hook that fails says no") {
  process::Loop loop;
  config::Hooks commands;
  commands[Hook::on_starting] = script("exit 1", 60s, true);
  commands[Hook::pre_spawn] = script("kill -KILL $$", 60s, false);
  commands[Hook::post_spawn] = script("sleep 600", 100ms, true);
  commands[Hook::worker_exit] = {{"/nowhere/at/all"}, "/nowhere/at/all", 60s, true};
  commands[Hook::on_reload] = script("exit 0", 60s, true);
  Hooks hooks(loop.io, loop.children, commands);
  std::vector<std::pair<Hook, bool>> ends;
  for (const Hook hook :
       {Hook::on_starting, Hook::pre_spawn, Hook::post_spawn, Hook::worker_exit, Hook::on_reload}) {
    hooks.run(hook, json::object(), [&ends, hook](bool ok) { ends.emplace_back(hook, ok); });
  }
  REQUIRE(loop.run_until([&] { return ends.size() == 5; }));
  for (const auto& [hook, ok] : ends) {
    CAPTURE(std::string(config::name_of(hook)));
    CHECK(ok == (hook == Hook::pre_spawn || hook == Hook::on_reload));
  }
}

TEST_CASE("hooks run one after another, in the order of their events") {
  const app::TemporaryFolder folder;
  const std::string log = (folder.path() / "log").string();
  process::Loop loop;
  config::Hooks commands;
  for (const Hook hook : {Hook::post_spawn, Hook::worker_ready, Hook::when_ready, Hook::on_exit}) {
    const std::string name(config::name_of(hook));
    commands[hook] =
        script("echo begin " + name + " >> " + log + "; echo end " + name + " >> " + log);
  }
  Hooks hooks(loop.io, loop.children, commands);
  bool ended = false;
  hooks.run(Hook::post_spawn, json::object(), nullptr);
  hooks.run(Hook::worker_ready, json::object(), nullptr);
  hooks.run(Hook::when_ready, json::object(), nullptr);
  hooks.run(Hook::on_exit, json::object(), [&](bool) { ended = true; });
  REQUIRE(loop.run_until([&] { return ended; }));
  CHECK(read(log) ==
        "begin post_spawn\nend post_spawn\nbegin worker_ready\nend worker_ready\n"
        "begin when_ready\nend when_ready\nbegin on_exit\nend on_exit\n");
}

TEST_CASE("a hook that hangs does not keep a worker from being started") {
  const app::TemporaryFolder folder;
  const std::string gate = (folder.path() / "gate").string();
  REQUIRE(::mkfifo(gate.c_str(), 0600) == 0);
  process::Loop loop;
  config::Hooks commands;
  commands[Hook::worker_exit] = script("cat " + gate);
  commands[Hook::pre_spawn] = script("exit 0");
  Hooks hooks(loop.io, loop.children, commands);
  bool exited = false;
  bool may_spawn = false;
  hooks.run(Hook::worker_exit, json::object(), [&](bool) { exited = true; });
  hooks.run(Hook::pre_spawn, json::object(), [&](bool ok) { may_spawn = ok; });
  REQUIRE(loop.run_until([&] { return may_spawn; }));
  CHECK_FALSE(exited);
  std::ofstream(gate) << "go\n";
  CHECK(loop.run_until([&] { return exited; }));
}

TEST_CASE("hooks that wait are bounded in number, and what is too much is told as failed") {
  const app::TemporaryFolder folder;
  const std::string gate = (folder.path() / "gate").string();
  REQUIRE(::mkfifo(gate.c_str(), 0600) == 0);
  process::Loop loop;
  config::Hooks commands;
  commands[Hook::worker_exit] = script("cat " + gate);
  commands[Hook::worker_ready] = script("exit 0", 60s, true);
  Hooks hooks(loop.io, loop.children, commands);
  int good = 0;
  int bad = 0;
  hooks.run(Hook::worker_exit, json::object(), nullptr);
  constexpr int kWaiting = 64;
  for (int i = 0; i < kWaiting + 10; ++i) {
    hooks.run(Hook::worker_ready, json::object(), [&](bool ok) { ++(ok ? good : bad); });
  }
  REQUIRE(loop.run_until([&] { return bad == 10; }));
  CHECK(good == 0);
  std::ofstream(gate) << "go\n";
  CHECK(loop.run_until([&] { return good == kWaiting; }));
}

TEST_CASE("the exit waits for what was begun, and not for all that waits") {
  process::Loop loop;
  config::Hooks commands;
  commands[Hook::worker_exit] = script("sleep 600", 500ms);
  commands[Hook::on_exit] = script("exit 0", 200ms);
  Hooks hooks(loop.io, loop.children, commands);
  int ended = 0;
  for (int i = 0; i < 50; ++i) {
    hooks.run(Hook::worker_exit, json::object(), [&](bool) { ++ended; });
  }
  bool exited = false;
  const auto begun = std::chrono::steady_clock::now();
  hooks.run(Hook::on_exit, json::object(), [&](bool ok) { exited = ok; });
  REQUIRE(loop.run_until([&] { return exited; }));
  CHECK(ended == 50);
  CHECK(std::chrono::steady_clock::now() - begun < 20s);
}

TEST_CASE("without a command for it, the exit still comes after what was asked for before") {
  const app::TemporaryFolder folder;
  process::Loop loop;
  config::Hooks commands;
  commands[Hook::worker_exit] = script("echo done > " + (folder.path() / "log").string());
  Hooks hooks(loop.io, loop.children, commands);
  bool exited = false;
  hooks.run(Hook::worker_exit, json::object(), nullptr);
  hooks.run(Hook::on_exit, json::object(), [&](bool ok) { exited = ok; });
  REQUIRE(loop.run_until([&] { return exited; }));
  CHECK(read(folder.path() / "log") == "done\n");
}

TEST_CASE("commands may be replaced") {
  process::Loop loop;
  Hooks hooks(loop.io, loop.children, {});
  config::Hooks commands;
  commands[Hook::pre_spawn] = script("exit 1", 60s, true);
  hooks.replace(commands);
  CHECK(hooks.has(Hook::pre_spawn));
  bool refused = false;
  hooks.run(Hook::pre_spawn, json::object(), [&](bool ok) { refused = !ok; });
  CHECK(loop.run_until([&] { return refused; }));
}

}  // namespace
}  // namespace sonicorn::supervisor
