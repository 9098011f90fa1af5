#pragma once

#include <memory>

#include "config/config.hpp"
#include "core/result.hpp"
#include "supervisor/control.hpp"

namespace boost::asio {
class io_context;
}

namespace sonicorn::admin {

// Lets the operator in, in HTTP, by two ways; both work on the thread of `io`, live as long as the
// result, and ask `control`, which outlives them.
//
// A Unix socket, mode 0600, at `config.control` or, where that is empty, at the usual place
// (control_path.hpp): all of the interface below. Without a usual place that can be written to
// there is none, which is logged.
//   GET  /status /workers /apps (JSON), /metrics (Prometheus' text), /livez, /readyz (200 or 503)
//   POST /drain, /drain?app=NAME, /stop, /workers/restart, /workers/N/restart,
//        /apps/NAME/unquarantine: answered when it is done, with 200 and {"ok": true} or with 409
//        and {"ok": false, "error": "why not"}
// And `config.health`, if there is one: GET /livez and /readyz.
//
// Errors: host.admin (an address is taken, too long, or cannot be had).
core::Result<std::shared_ptr<void>> open_control(boost::asio::io_context& io,
                                                 supervisor::Control& control,
                                                 const config::Config& config);

}  // namespace sonicorn::admin
