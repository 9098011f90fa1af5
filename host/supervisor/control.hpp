#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace sonicorn::supervisor {

// What the operator may ask of a running server. For the thread of the main loop, where answers
// come, too, each once. A fault says why something was not done; it is empty when it was.
class Control {
 public:
  using Json = nlohmann::json;
  using Done = std::function<void(std::string fault)>;

  // Whether requests are served as they should be; `why_not` says what is missing.
  virtual bool is_ready(std::string& why_not) const = 0;

  // The server as a whole: pid, version, state, workers, since when, addresses.
  virtual Json status() const = 0;
  // One object a worker.
  virtual void workers(std::function<void(Json)> done) = 0;
  // One object an app, over all workers (merge_apps).
  virtual void apps(std::function<void(Json)> done) = 0;
  // In Prometheus' text format 0.0.4.
  virtual void metrics(std::function<void(std::string)> done) = 0;

  // Takes an app out of service; empty: has the server report itself not ready, while it goes on
  // serving. Done when no request is in flight any more.
  virtual void drain(std::string app, Done done) = 0;
  // Stops the server in order. Done when every worker has ended.
  virtual void stop(std::string message, Done done) = 0;
  // Replaces one worker, or one after the other: the successor serves before the old one stops.
  virtual void restart_worker(std::optional<unsigned> index, Done done) = 0;
  // Replaces the code of an app by what its file holds now, in every worker or in none; empty: of
  // all apps, and takes the configuration as it is now. `forced`: also by a build that loses
  // shutdown or save_state. `done` gets an object: "ok", with "apps" (what was switched) or "error"
  // (why nothing was).
  virtual void reload(std::string app, bool forced, std::function<void(Json)> done) = 0;
  // Returns to the build before, while that is kept.
  virtual void rollback(std::string app, std::function<void(Json)> done) = 0;
  // Ends the probation of an app's build: the one before is kept no longer.
  virtual void commit(const std::string& app, Done done) = 0;
  // The newest `most` events of the life of an app (empty: of all, and of the server), the oldest
  // first (Journal::history).
  virtual Json history(const std::string& app, std::size_t most) const = 0;
  // Gives an app in quarantine another chance, in every worker.
  virtual void unquarantine(const std::string& app, Done done) = 0;

 protected:
  ~Control() = default;
};

}  // namespace sonicorn::supervisor
