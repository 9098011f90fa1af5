#pragma once

#include <boost/asio/generic/stream_protocol.hpp>
#include <memory>

#include "supervisor/control.hpp"

namespace sonicorn::admin {

// What a client of an endpoint may ask for.
enum class Scope { health, all };

// Serves one connection of the operator's: one request, one answer, as often as it likes. When the
// pointer in `control` is gone, so is the server. `ticket` is held as long as the connection.
void serve_operator(boost::asio::generic::stream_protocol::socket socket,
                    std::weak_ptr<supervisor::Control*> control, Scope scope,
                    std::shared_ptr<void> ticket);

}  // namespace sonicorn::admin
