#include "process/run.hpp"

#include <fstream>
#include <iterator>
#include <optional>
#include <thread>

#include "signalled_children.hpp"

namespace sonicorn::process {
namespace {

using namespace std::chrono_literals;

RunRequest shell(const std::string& script) {
  RunRequest request;
  request.argv = {"/bin/sh", "-c", script};
  request.limit = 60s;
  return request;
}

RunEnd end_of(RunRequest request) {
  Loop loop;
  std::optional<RunEnd> end;
  run(loop.io, loop.children, std::move(request), [&](RunEnd ended) { end = std::move(ended); });
  CHECK_FALSE(end.has_value());
  REQUIRE(loop.run_until([&] { return end.has_value(); }));
  return *std::move(end);
}

TEST_CASE("a command gets its input, and its output and status come back") {
  RunRequest request = shell("cat; echo error >&2; exit 3");
  request.input = std::string("some\0text\n", 10);
  const RunEnd end = end_of(std::move(request));
  CHECK(end.output == std::string("some\0text\nerror\n", 16));
  CHECK_FALSE(end.ok());
  CHECK(end.ending() == "status 3");
  CHECK_FALSE(end.cut);
  CHECK_FALSE(end.timed_out);
  CHECK_FALSE(end.error.has_value());
}

TEST_CASE("a command may read its input by name, late, or never") {
  for (const char* script : {"cat /dev/stdin", "cat /dev/stdin; true", "head -c 9999999"}) {
    RunRequest request = shell(script);
    request.input = std::string(1 << 20, 'x');
    request.most_output = 2 << 20;
    CHECK(end_of(std::move(request)).output.size() == 1 << 20);
  }
  RunRequest request = shell("exit 0");
  request.input = std::string(1 << 20, 'x');
  CHECK(end_of(std::move(request)).ok());
}

TEST_CASE("of much output the beginning is kept") {
  RunRequest request = shell("head -c 1000000 /dev/zero | tr '\\0' a; echo end");
  request.most_output = 1000;
  const RunEnd end = end_of(std::move(request));
  CHECK(end.output == std::string(1000, 'a'));
  CHECK(end.cut);
  CHECK(end.ok());
}

TEST_CASE("a signal that ends a command is told") {
  const RunEnd end = end_of(shell("kill -SEGV $$"));
  CHECK_FALSE(end.ok());
  CHECK(end.ending() == "signal 11 (Segmentation fault)");
}

TEST_CASE("a command that hangs is killed at its limit, with its group") {
  RunRequest request = shell("sleep 600 & echo $!; sleep 600; echo never");
  request.limit = 300ms;
  const RunEnd end = end_of(std::move(request));
  CHECK(end.timed_out);
  CHECK_FALSE(end.ok());
  // Whose child it is by now takes it away in its own time.
  const std::string status = "/proc/" + end.output.substr(0, end.output.find('\n')) + "/status";
  const auto deadline = std::chrono::steady_clock::now() + 60s;
  const auto lives = [&status] {
    std::ifstream file(status);
    const std::string text{std::istreambuf_iterator<char>(file), {}};
    return !text.empty() && text.find("State:\tZ") == std::string::npos;
  };
  while (lives() && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  CHECK_FALSE(lives());
}

TEST_CASE("what a command leaves behind is not waited for") {
  const auto begun = std::chrono::steady_clock::now();
  const RunEnd end = end_of(shell("echo first; sleep 30 & echo $!; exit 0"));
  CHECK(end.ok());
  CHECK(std::chrono::steady_clock::now() - begun < 25s);
  const pid_t left = std::stoi(end.output.substr(end.output.find('\n') + 1));
  CHECK(::kill(left, SIGKILL) == 0);
}

TEST_CASE("what a command leaves behind may write on and on") {
  // The shell leads the group of both.
  const RunEnd end = end_of(shell("echo $$; yes & exit 0"));
  CHECK(end.ok());
  ::kill(-std::stoi(end.output), SIGKILL);
}

TEST_CASE("a command that cannot be run is told later, not at once") {
  RunRequest request;
  request.argv = {"/nowhere/at/all"};
  const RunEnd end = end_of(std::move(request));
  REQUIRE(end.error.has_value());
  CHECK(end.error->id == "host.child_not_run");
  CHECK_FALSE(end.ok());
}

TEST_CASE("a command is looked for in PATH") {
  RunRequest request;
  request.argv = {"echo", "found"};
  request.environment = {{"SONICORN_UNIT", "1"}};
  CHECK(end_of(std::move(request)).output == "found\n");
}

TEST_CASE("runs do not wait for each other") {
  Loop loop;
  int ended = 0;
  for (int i = 0; i < 5; ++i) {
    run(loop.io, loop.children, shell("echo $$"), [&](const RunEnd& end) { ended += end.ok(); });
  }
  CHECK(loop.run_until([&] { return ended == 5; }));
}

TEST_CASE("a run that is under way when the loop ends calls nobody") {
  bool told = false;
  {
    Loop loop;
    run(loop.io, loop.children, shell("exec sleep 1"), [&](const RunEnd&) { told = true; });
  }
  CHECK_FALSE(told);
}

}  // namespace
}  // namespace sonicorn::process
