#include "supervisor/configuration_change.hpp"

#include <fmt/format.h>

#include <string_view>
#include <utility>
#include <vector>

#include "core/log.hpp"

namespace sonicorn::supervisor {

namespace log = core::log;

bool asks_the_same_of_workers(const config::Config& one, const config::Config& other) {
  return one.threads == other.threads && one.blocking_threads == other.blocking_threads &&
         one.grace == other.grace && one.without == other.without &&
         one.access_log == other.access_log && one.access_log_format == other.access_log_format &&
         one.limits == other.limits && one.lifecycle == other.lifecycle &&
         one.reload.hold_time == other.reload.hold_time;
}

void tell_what_waits(const config::Config& before, const config::Config& now) {
  const std::pair<std::string_view, bool> all[] = {
      {"bind", before.binds != now.binds},
      {"control", before.control != now.control},
      {"health", before.health != now.health},
      {"health_path", before.health_path != now.health_path},
      {"user", before.privileges.user != now.privileges.user},
      {"group", before.privileges.group != now.privileges.group},
      {"umask", before.privileges.umask != now.privileges.umask},
      {"pid_file", before.pid_file != now.pid_file},
      {"journal", before.journal != now.journal},
      {"runtime_dir", before.runtime_dir != now.runtime_dir},
      {"log_file", before.log_file != now.log_file},
      {"log_level", before.log_level != now.log_level},
      {"log_format", before.log_format != now.log_format}};
  std::vector<std::string_view> changed;
  for (const auto& [name, differs] : all) {
    if (differs) changed.push_back(name);
  }
  if (changed.empty()) return;
  log::warning("what changed of {} takes effect when the server is restarted",
               fmt::join(changed, ", "));
}

}  // namespace sonicorn::supervisor
