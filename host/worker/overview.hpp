#pragma once

#include <functional>
#include <string>

namespace sonicorn::worker {

// What the operator may look at while apps are served. For the thread of the main loop, where
// answers come, too.
class Overview {
 public:
  // Whether requests are served as they should be; `why_not` says what is missing.
  virtual bool is_ready(std::string& why_not) const = 0;
  // In Prometheus' text format 0.0.4.
  virtual std::string metrics() const = 0;
  // A JSON array, one object an app.
  virtual void describe_apps(std::function<void(std::string json)> done) = 0;

 protected:
  ~Overview() = default;
};

}  // namespace sonicorn::worker
