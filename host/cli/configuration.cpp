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

namespace {

void set_up_log(const config::Config& config) {
  core::log::set_level(config.log_level);
  core::log::set_format(config.log_format);
}

}  // namespace

bool open_log(const config::Config& config) {
  set_up_log(config);
  if (config.log_file.empty()) return true;
  const auto opened = core::log::open_file(config.log_file);
  if (opened) return true;
  core::log::error("the log {}; name another file (--log-file)", opened.error().message);
  return false;
}

void open_log_when_possible(const config::Config& config) {
  set_up_log(config);
  if (config.log_file.empty()) return;
  const auto opened = core::log::open_file_when_possible(config.log_file);
  if (opened) return;
  print_errors(std::array{core::host_error(
      opened.error().id, fmt::format("the log {}; lines are kept, then dropped, until it can",
                                     opened.error().message))});
}

}  // namespace sonicorn::cli
