#include "cli/configuration.hpp"

namespace sonicorn::cli {

config::Loaded read_configuration(const config::Flags& flags, const std::string& text) {
  config::Loaded loaded = config::load(flags, text);
  if (loaded.config.skip_broken) {
    std::erase_if(loaded.errors,
                  [](const core::Error& error) { return error.id == "config.missing_file"; });
  }
  return loaded;
}

}  // namespace sonicorn::cli
