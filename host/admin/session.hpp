#pragma once

#include <boost/asio/generic/stream_protocol.hpp>
#include <memory>

#include "supervisor/control.hpp"

namespace sonicorn::admin {

// What a client of an endpoint may ask for.
enum class Scope { health, all };

// One connection of the operator's, which lives until it is closed.
class OperatorConnection {
 public:
  OperatorConnection() = default;
  virtual ~OperatorConnection() = default;
  OperatorConnection(const OperatorConnection&) = delete;
  OperatorConnection& operator=(const OperatorConnection&) = delete;

  // Closes it unless a whole request was read that is not answered yet. Whether it did.
  virtual bool close_if_idle() = 0;
};

// Serves a connection: one request, one answer, as often as the client likes. When the pointer in
// `control` is gone, so is the server.
std::weak_ptr<OperatorConnection> serve_operator(
    boost::asio::generic::stream_protocol::socket socket,
    std::weak_ptr<supervisor::Control*> control, Scope scope);

}  // namespace sonicorn::admin
