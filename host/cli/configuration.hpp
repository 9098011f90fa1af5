#pragma once

#include <string>

#include "config/load.hpp"

namespace sonicorn::cli {

// What `serve` is to do, as the flags and this text of the configuration file say. A file of an app
// that is not there is an app that is broken like any other: where those are to be skipped, it is no
// error here, and is reported when it is loaded.
config::Loaded read_configuration(const config::Flags& flags, const std::string& text);

}  // namespace sonicorn::cli
