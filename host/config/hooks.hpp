#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sonicorn::config {

// What the supervisor may run a command of the operator at; each is a key of [hooks].
enum class Hook : std::uint8_t {
  on_starting,       // before anything else; waited for
  when_ready,        // every worker serves for the first time
  on_reload,         // the configuration or an app was loaded again
  pre_spawn,         // before a worker is started; waited for
  post_spawn,        // a worker was started
  worker_ready,      // a worker serves
  worker_stopping,   // a worker was told to stop
  worker_abort,      // a worker is killed, for it hangs
  worker_exit,       // a worker ended, in whatever way
  nworkers_changed,  // there are to be more or fewer workers
  quarantined,       // an app is served no more, for it keeps crashing
  on_exit,           // after everything else; waited for
};

inline constexpr std::string_view kHooks[] = {"on_starting",      "when_ready",   "on_reload",
                                              "pre_spawn",        "post_spawn",   "worker_ready",
                                              "worker_stopping",  "worker_abort", "worker_exit",
                                              "nworkers_changed", "quarantined",  "on_exit"};

inline constexpr std::size_t kHookCount = std::size(kHooks);
static_assert(kHookCount == std::size_t(Hook::on_exit) + 1);

inline std::string_view name_of(Hook hook) { return kHooks[std::size_t(hook)]; }

// Whether a failure is fatal unless the file says otherwise: of what is asked before it is done,
// where the operator has the chance to say no.
inline bool is_fatal_by_default(Hook hook) {
  return hook == Hook::on_starting || hook == Hook::pre_spawn;
}

struct HookCommand {
  std::vector<std::string> argv;  // never empty
  std::string text;               // as the file has it, for messages
  std::chrono::milliseconds time{10'000};
  bool fatal = false;
};

// The commands of [hooks].
class Hooks {
 public:
  std::optional<HookCommand>& operator[](Hook hook) { return commands_[std::size_t(hook)]; }
  const std::optional<HookCommand>& operator[](Hook hook) const {
    return commands_[std::size_t(hook)];
  }

 private:
  std::array<std::optional<HookCommand>, kHookCount> commands_;
};

}  // namespace sonicorn::config
