// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sonicorn/capability/control.h>
#include <sonicorn/capability/metrics.h>

#include <cstdint>
#include <ostream>
#include <sonicorn/cpp/context.hpp>
#include <sonicorn/cpp/server.hpp>
#include <string>
#include <vector>

// What the host wrote down, as values to look at.
namespace sonicorn::testing {

// What became of one lifecycle call.
struct Result {
  std::int32_t code = SONICORN_OK;  // above 0: declined; below 0: an error
  std::string error = {};           // what the app said of it
  bool called = true;  // false: the app has no such attribute, or lacks the promise behind it

  bool ok() const { return code == SONICORN_OK; }
  bool declined() const { return code > 0; }
  bool failed() const { return code < 0; }
  explicit operator bool() const { return ok(); }
};

inline std::ostream& operator<<(std::ostream& out, const Result& result) {
  if (!result.called) return out << "not called";
  out << (result.ok() ? "ok" : result.declined() ? "declined" : "failed");
  if (!result.error.empty()) out << ": " << result.error;
  return out;
}

// One call of the host into an app.
struct Call {
  std::string app;
  std::string attribute;  // "on_request"; "timer" for a callback of timer/1
  Scope scope = Scope::app;
  Reason reason = Reason::none;
  ThreadRole role = ThreadRole::lifecycle;
  std::int32_t result = SONICORN_OK;
  std::string error;
};

// One line of the log.
struct LogLine {
  std::string app;
  Level level = Level::info;
  std::string text;
};

// What an app asked for through control/1.
struct ControlRequest {
  std::string app;
  std::uint32_t action = 0;  // SONICORN_CONTROL_...
  std::string message;
};

// A metric of one app, as it is now.
struct Metric {
  std::uint32_t kind = 0;  // SONICORN_METRIC_...
  std::string name;
  std::string help;
  double value = 0;                  // counter and gauge
  std::vector<double> observations;  // histogram, in order
};

}  // namespace sonicorn::testing
