#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>

#include "conformance/finding.hpp"
#include "conformance/scenario.hpp"
#include "core/result.hpp"

// What a check and its children agree on. A child is started with its task as its one argument, and
// writes messages to its standard output, each one line that is a JSON object.
namespace sonicorn::conformance {

struct Task {
  std::filesystem::path file;
  std::filesystem::path folder;  // where private copies may lie; the parent removes it
  std::string settings = "{}";
  Scenario scenario;
  std::chrono::milliseconds time_limit{0};  // for each call into the app
};

std::string to_json(const Task& task);
core::Result<Task> task_from_json(std::string_view text);

// One message of a child: what it begins to do, something that it has found, or that it is done.
struct Message {
  enum class Kind : std::uint8_t { step, finding, done };
  Kind kind = Kind::step;
  std::string step;  // "start"
  unsigned run = 0;  // from 1
  Finding finding;
};

// One line, with its line break.
std::string to_json(const Message& message);
// Error: host.check_message, when the line is none.
core::Result<Message> message_from_json(std::string_view line);

}  // namespace sonicorn::conformance
