#pragma once

#include <filesystem>
#include <memory>

#include "core/result.hpp"
#include "worker/overview.hpp"

namespace boost::asio {
class io_context;
}

namespace sonicorn::admin {

// Shows the overview on a Unix socket, mode 0600, in HTTP: GET /livez, /readyz (200 or 503),
// /metrics (Prometheus' text), /apps (JSON). Works on the thread of `io`, and lives as long as the
// result; its end removes the socket. `overview` outlives it. Error: host.admin (the path is taken,
// too long, or cannot be written to).
core::Result<std::shared_ptr<void>> open_endpoint(boost::asio::io_context& io,
                                                  worker::Overview& overview,
                                                  const std::filesystem::path& path);

}  // namespace sonicorn::admin
