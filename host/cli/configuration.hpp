#pragma once

#include <string>

#include "config/load.hpp"

namespace sonicorn::cli {

// What `serve` is to do, as the flags and this text of the configuration file say. A file of an app
// that is not there is an app that is broken like any other: where those are to be skipped, it is
// no error here, and is reported when it is loaded.
config::Loaded read_configuration(const config::Flags& flags, const std::string& text);

// Has the log of this process written where and as the configuration says. False when it cannot be,
// which is printed.
bool open_log(const config::Config& config);

// The same for one who serves whatever becomes of the log: where it cannot be written now, which is
// printed, it is as soon as it can be.
void open_log_when_possible(const config::Config& config);

}  // namespace sonicorn::cli
