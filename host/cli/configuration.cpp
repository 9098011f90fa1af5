#include "cli/configuration.hpp"

#include <fmt/format.h>

#include <array>

#include "cli/command.hpp"
#include "core/log.hpp"

namespace sonicorn::cli {

config::Loaded read_configuration(const config::Flags& flags, const std::string& text) {
  config::Loaded loaded = config::load(flags, text);
  if (loaded.config.skip_broken) {
    std::erase_if(loaded.errors,
                  [](const core::Error& error) { return error.id == "config.missing_file"; });
  }
  return loaded;
}

bool open_log(const config::Config& config) {
  core::log::set_level(config.log_level);
  core::log::set_format(config.log_format);
  if (config.log_file.empty()) return true;
  const auto opened = core::log::open_file(config.log_file);
  if (opened) return true;
  print_errors(std::array{core::host_error(
      opened.error().id,
      fmt::format("the log {}; name another file (--log-file)", opened.error().message))});
  return false;
}

}  // namespace sonicorn::cli
