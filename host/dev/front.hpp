#pragma once

#include <boost/asio/io_context.hpp>
#include <memory>
#include <string>

namespace sonicorn::dev {

// What the browser is to see.
struct Situation {
  // The Unix socket of the server whose answers it gets; empty: a notice in place of each.
  std::string upstream = {};
  // Of the notice.
  unsigned status = 503;
  std::string title = {};
  std::string text = {};
};

// What stands between the developer's browser and the server: forwards each request, adds the
// script of dev/page to answers that are HTML, answers kOwnTargets itself, and every request with a
// notice while the app cannot be served. For the thread of `io`.
class Front {
 public:
  // Accepts on `descriptor`, a listening TCP socket, which it takes.
  Front(boost::asio::io_context& io, int descriptor);
  ~Front();
  Front(const Front&) = delete;
  Front& operator=(const Front&) = delete;

  // From the next request on; the pages that are open are told, and ask again.
  void show(Situation situation);

  // Lets nobody in any more, and closes all connections.
  void close();

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sonicorn::dev
