#pragma once

#include <filesystem>
#include <string>

#include "core/result.hpp"

namespace sonicorn::admin {

// What a server's endpoint answered.
struct Reply {
  unsigned status = 0;
  std::string body;
};

// Asks the server behind the operator's socket `control` once, and waits for its answer as long as
// it takes. `method`: "GET" or "POST". Errors: host.admin (nobody listens there, or who does says
// nothing that can be understood).
core::Result<Reply> ask_server(const std::filesystem::path& control, const std::string& method,
                               const std::string& target);

}  // namespace sonicorn::admin
