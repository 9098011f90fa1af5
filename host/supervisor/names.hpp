#pragma once

#include <string>
#include <vector>

#include "config/config.hpp"
#include "supervisor/builder.hpp"
#include "supervisor/reload.hpp"

namespace sonicorn::supervisor {

// The name that the configuration gives the app, else the one in its manifest, else its file's;
// `build` may be null.
std::string name_of(const config::App& wanted, const KeptBuild& build);

// Gives each app a name that no other has, for commands, quarantine and reports mean one app by it:
// the second "hello" is "hello-2". Whoever has a name keeps it while name_of() says the same. The
// result is a fault: the configuration gives a name that an app has which goes on.
std::string give_names(const std::vector<Served*>& all);

}  // namespace sonicorn::supervisor
