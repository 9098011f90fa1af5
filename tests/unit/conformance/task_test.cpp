#include "conformance/task.hpp"

#include <doctest/doctest.h>

namespace sonicorn::conformance {
namespace {

TEST_CASE("a task is the same after its way to a child") {
  const Task task{.file = "/a b/\"c\".so",
                  .folder = "/tmp/x",
                  .settings = R"({"key": "value\n"})",
                  .scenario = {.name = "without log/1",
                               .kind = Scenario::Kind::stopping,
                               .runs = 7,
                               .without = {"log/1", "timer/1"}},
                  .time_limit = std::chrono::milliseconds(1500)};
  const auto same = task_from_json(to_json(task));
  REQUIRE(same.has_value());
  CHECK(same->file == task.file);
  CHECK(same->folder == task.folder);
  CHECK(same->settings == task.settings);
  CHECK(same->scenario.name == task.scenario.name);
  CHECK(same->scenario.kind == task.scenario.kind);
  CHECK(same->scenario.without == task.scenario.without);
  CHECK(same->scenario.runs == task.scenario.runs);
  CHECK(same->time_limit == task.time_limit);
}

TEST_CASE("a finding is the same after its way from a child, on one line") {
  const Message message{.kind = Message::Kind::finding,
                        .step = {},
                        .run = 0,
                        .finding = {.id = "check.crash",
                                    .level = Level::warning,
                                    .message = "line\nbreak",
                                    .remedy = "do \"this\"",
                                    .where = {"#0 here", "#1 there"}}};
  const std::string line = to_json(message);
  CHECK(line.find('\n') == line.size() - 1);
  const auto same = message_from_json(line);
  REQUIRE(same.has_value());
  CHECK(same->kind == Message::Kind::finding);
  CHECK(same->finding.id == message.finding.id);
  CHECK(same->finding.level == message.finding.level);
  CHECK(same->finding.message == message.finding.message);
  CHECK(same->finding.remedy == message.finding.remedy);
  CHECK(same->finding.where == message.finding.where);
}

TEST_CASE("bytes that are no UTF-8 do not spoil a message") {
  const auto same = message_from_json(to_json(Message{.kind = Message::Kind::finding,
                                                      .step = {},
                                                      .run = 0,
                                                      .finding = {.id = "check.exit",
                                                                  .level = Level::error,
                                                                  .message = "\xff\xfe",
                                                                  .remedy = {},
                                                                  .where = {}}}));
  CHECK(same.has_value());
}

TEST_CASE("what an app writes between the messages is none") {
  for (const char* line :
       {"", "hello", "{}", "[]", R"({"is": "other"})", R"({"is": 1})", R"({"is": "step"})"}) {
    CAPTURE(std::string(line));
    CHECK_FALSE(message_from_json(line).has_value());
  }
  CHECK_FALSE(task_from_json("{}").has_value());
}

}  // namespace
}  // namespace sonicorn::conformance
