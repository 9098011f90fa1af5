#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "config/load.hpp"

namespace sonicorn::worker {

// What the supervisor gives to one of its workers.
struct Post {
  struct Socket {
    int descriptor;
    std::string url;  // as the operator knows it
  };

  // An app's build, which the supervisor has made.
  struct Build {
    std::size_t index = 0;  // in Config::apps
    std::uint64_t generation = 1;
    std::string description;  // JSON (app::describe)
  };

  unsigned index = 0;                    // among the workers
  int channel = -1;                      // to the supervisor (process/message.hpp)
  std::vector<Socket> sockets;           // bound; the supervisor makes them listen
  std::vector<Build> builds;             // of the apps to serve
  std::vector<std::string> quarantined;  // names of apps whose code is not to be run
  // The configuration with this text of its file, for new settings.
  std::function<config::Loaded(const std::string& text)> reread;
};

// Loads and starts the apps, serves them until the supervisor says stop or is gone, and shuts them
// down. Blocks. The result is the process's exit status: 0 after a clean stop, 1 when it could not
// start or could not end cleanly. Takes over SIGTERM, SIGINT, SIGQUIT, SIGHUP and SIGUSR1, ignores
// SIGPIPE and resets SIGCHLD, for the whole process; to be called once.
int serve(config::Config config, Post post);

}  // namespace sonicorn::worker
