#include "http/access_log.hpp"
#include "http/connection.hpp"
#include "http/loop.hpp"

// What the access log is told of a request. Without one, none of this is called.
namespace sonicorn::http {

void Connection::log_answer(const Request& to, unsigned status, std::uint64_t body_size) {
  const bool waited = phase_ == Phase::handling;
  AccessEntry entry{.request = to,
                    .remote = {remote_.data(), remote_size_},
                    .status = status,
                    .body_size = body_size,
                    .request_id = {},
                    .app = {},
                    .generation = 0,
                    .duration = {},
                    .time = {}};
  // The app of the request before is not that of a head that was refused.
  if (app_ != nullptr && !to.path.empty()) {
    const app::Generation* const running = loop_.context_.running.generation.load();
    const bool is_running = running != nullptr && running->name() == app_->name();
    entry.app = app_->name();
    const app::Generation* const called = is_running ? running : app_->serving();
    entry.generation = waited ? pool_generation_ : called != nullptr ? called->traits().number : 0;
  }
  const auto begun = waited ? since_ : loop_.now_;
  loop_.access_->add(entry, static_cast<std::uint64_t>(
                                std::chrono::nanoseconds(begun.time_since_epoch()).count()));
}

void Connection::log_response(const Request& to, const AppResponse& response) {
  log_answer(to, response.status,
             ResponseWriter::sends_body(to, response.status) ? response.body.size : 0);
}

}  // namespace sonicorn::http
