#include "conformance/child_process.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <csignal>

namespace sonicorn::conformance {
namespace {

using namespace std::chrono_literals;

struct Ran {
  ChildEnd end;
  std::vector<std::string> lines;
};

Ran run(const std::string& script, std::chrono::milliseconds patience = 60s) {
  Ran ran;
  const auto end = run_child("/bin/sh", {"-c", script}, patience,
                             [&](std::string_view line) { ran.lines.emplace_back(line); });
  REQUIRE_MESSAGE(end.has_value(), end.error().message);
  ran.end = *end;
  return ran;
}

TEST_CASE("a child's lines, its errors and its status are told") {
  const Ran ran = run("echo one; printf two; echo; echo bad >&2; exit 3");
  CHECK(ran.lines == std::vector<std::string>{"one", "two"});
  CHECK(ran.end.errors == "bad\n");
  CHECK(ran.end.exit_status == 3);
  CHECK(ran.end.signal == 0);
  CHECK_FALSE(ran.end.timed_out);
}

TEST_CASE("a signal that ends a child is told") {
  const Ran ran = run("kill -SEGV $$");
  CHECK(ran.end.signal == SIGSEGV);
  CHECK(ran.end.exit_status == -1);
}

TEST_CASE("a child that is silent for too long is killed") {
  const Ran ran = run("echo one; while :; do sleep 600; done", 200ms);
  CHECK(ran.end.timed_out);
  CHECK(ran.end.signal == SIGKILL);
}

TEST_CASE("much output is read, and of the errors the last is kept") {
  const Ran ran =
      run("i=0; while [ $i -lt 3000 ]; do echo line $i; echo error $i >&2; i=$((i+1)); done");
  CHECK(ran.lines.size() == 3000);
  CHECK(ran.end.errors.size() <= 8192);
  CHECK(ran.end.errors.ends_with("error 2999\n"));
}

TEST_CASE("what a child leaves running ends with it, and is not waited for") {
  const auto begun = std::chrono::steady_clock::now();
  const Ran ran = run("sleep 600 & echo $!");
  CHECK(ran.end.exit_status == 0);
  CHECK(ran.lines.size() == 1);
  CHECK(std::chrono::steady_clock::now() - begun < 300s);
}

TEST_CASE("a child that cannot be run is an error that names it") {
  const auto end = run_child("/nowhere/at/all", {}, 60s, [](std::string_view) {});
  REQUIRE_FALSE(end.has_value());
  CHECK(end.error().id == "host.child_not_run");
  CHECK(end.error().message.find("/nowhere/at/all") != std::string::npos);
}

}  // namespace
}  // namespace sonicorn::conformance
