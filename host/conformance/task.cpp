#include "conformance/task.hpp"

#include <nlohmann/json.hpp>

namespace sonicorn::conformance {
namespace {

using nlohmann::json;

// Names, settings and what an app prints may hold any bytes.
std::string text_of(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

core::Error malformed(const std::string& why) {
  return core::host_error("host.check_message",
                          "a check and its child do not understand each other: " + why);
}

constexpr std::string_view kStep = "step";
constexpr std::string_view kFinding = "finding";
constexpr std::string_view kDone = "done";

}  // namespace

std::string to_json(const Task& task) {
  return text_of({{"file", task.file.string()},
                  {"folder", task.folder.string()},
                  {"settings", task.settings},
                  {"name", task.scenario.name},
                  {"kind", static_cast<int>(task.scenario.kind)},
                  {"without", task.scenario.without},
                  {"runs", task.scenario.runs},
                  {"time_limit_ms", task.time_limit.count()}});
}

core::Result<Task> task_from_json(std::string_view text) {
  try {
    const json value = json::parse(text);
    return Task{.file = value.at("file").get<std::string>(),
                .folder = value.at("folder").get<std::string>(),
                .settings = value.at("settings"),
                .scenario = {.name = value.at("name"),
                             .kind = static_cast<Scenario::Kind>(value.at("kind").get<int>()),
                             .runs = value.at("runs"),
                             .without = value.at("without")},
                .time_limit = std::chrono::milliseconds(value.at("time_limit_ms").get<int>())};
  } catch (const json::exception& error) {
    return malformed(error.what());
  }
}

std::string to_json(const Message& message) {
  json value;
  switch (message.kind) {
    case Message::Kind::step:
      value = {{"is", kStep}, {"step", message.step}, {"run", message.run}};
      break;
    case Message::Kind::finding:
      value = {{"is", kFinding},
               {"id", message.finding.id},
               {"level", name_of(message.finding.level)},
               {"message", message.finding.message},
               {"remedy", message.finding.remedy},
               {"where", message.finding.where}};
      break;
    case Message::Kind::done:
      value = {{"is", kDone}};
      break;
  }
  return text_of(value) + "\n";
}

core::Result<Message> message_from_json(std::string_view line) {
  try {
    const json value = json::parse(line);
    Message message;
    const std::string is = value.at("is");
    if (is == kDone) {
      message.kind = Message::Kind::done;
    } else if (is == kStep) {
      message.step = value.at("step");
      message.run = value.at("run");
    } else if (is == kFinding) {
      message.kind = Message::Kind::finding;
      message.finding = {
          .id = value.at("id"),
          .level = level_from(value.at("level").get<std::string>()).value_or(Level::error),
          .message = value.at("message"),
          .remedy = value.at("remedy"),
          .where = value.at("where")};
    } else {
      return malformed(is);
    }
    return message;
  } catch (const json::exception& error) {
    return malformed(error.what());
  }
}

}  // namespace sonicorn::conformance
