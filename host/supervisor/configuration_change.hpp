#pragma once

#include "config/config.hpp"

// What becomes of a configuration that has changed, but for its apps.
namespace sonicorn::supervisor {

// Whether a worker that began with one is what the other wants.
bool asks_the_same_of_workers(const config::Config& one, const config::Config& other);

// Logs what has changed of that which holds from the server's start to its end.
void tell_what_waits(const config::Config& before, const config::Config& now);

}  // namespace sonicorn::supervisor
