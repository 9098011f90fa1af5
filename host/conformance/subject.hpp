#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>

#include "app/app.hpp"
#include "app/inspection.hpp"
#include "app/runtime_dir.hpp"
#include "app/services.hpp"
#include "conformance/observer.hpp"
#include "conformance/task.hpp"
#include "core/result.hpp"
#include "routing/router.hpp"

namespace sonicorn::conformance {

// What one request came to.
struct Answer {
  std::int32_t result = SONICORN_OK;  // of the handler, or of a filter before it
  std::string error;                  // what the app says, when the result is below 0
  std::string fault;                  // why its response cannot be sent; empty when it can
  std::uint64_t blocked_signals = 0;  // of its thread, when it had one of its own; afterwards

  bool failed() const { return result < 0 || !fault.empty(); }
};

// One generation of the app that is checked, in this process, which exists for that: calls wait
// without a limit, for the observer ends the process when one lasts. For one thread, but request()
// for any.
class Subject {
 public:
  struct Material {
    const Task& task;
    const std::string& bytes;
    const app::Inspection& inspection;
    const app::RuntimeDir& folder;
    app::Services& services;
    Observer& observer;
  };

  // Errors: those of app::Module::load and of the private copy.
  static core::Result<std::unique_ptr<Subject>> load(const Material& material,
                                                     std::uint64_t generation);

  app::Outcome start();
  app::Outcome health();
  app::Outcome ready();
  // GET / on the calling thread, which must say `leave_thread` when it has done its last.
  Answer request(app::CallContext& context);
  // The same on a thread of its own, from its first to its last call.
  Answer request_on_new_thread();

  struct Drained {
    app::Outcome outcome;
    bool declined_for_ever = false;  // there is nobody to say "finished" to
  };
  // Waits until the app is done with draining, too.
  Drained drain();
  app::Outcome shutdown();

  // The id of the thread that all but requests run on.
  pid_t lifecycle_thread() const { return lifecycle_thread_; }
  const std::filesystem::path& copy() const { return copy_; }
  const app::Generation::Traits& traits() const { return app_->current().traits(); }

 private:
  Subject(const Material& material, std::filesystem::path copy, app::Module module,
          std::uint64_t generation);

  Observer& observer_;
  app::Services& services_;
  std::chrono::milliseconds limit_;
  std::filesystem::path copy_;
  std::unique_ptr<app::App> app_;
  routing::Router router_;
  pid_t lifecycle_thread_ = 0;
};

}  // namespace sonicorn::conformance
