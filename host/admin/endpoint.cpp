#include "admin/endpoint.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <deque>
#include <filesystem>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "admin/control_path.hpp"
#include "admin/session.hpp"
#include "core/log.hpp"
#include "worker/listening_socket.hpp"

namespace sonicorn::admin {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;
using Local = asio::local::stream_protocol;
using Tcp = asio::ip::tcp;
using Held = std::shared_ptr<supervisor::Control*>;

constexpr std::chrono::milliseconds kPause{200};
// Of one address at once: descriptors are for the workers, too.
constexpr std::size_t kMostConnections = 128;

// Accepts the operator's connections on one address.
template <class Protocol>
class Endpoint {
 public:
  Endpoint(asio::io_context& io, Held control, Scope scope)
      : acceptor_(io), pause_(io), control_(std::move(control)), scope_(scope) {}

  typename Protocol::acceptor& acceptor() { return acceptor_; }

  void accept() {
    // What has happened already cannot be cancelled: a handler may be run when this has gone, at
    // the stop, and `control_` with it.
    acceptor_.async_accept(
        [this, held = control_](error_code error, typename Protocol::socket socket) {
          if (error == asio::error::operation_aborted || held.expired()) return;
          if (!error) {
            if (make_room()) {
              connections_.push_back(serve_operator(std::move(socket), control_, scope_));
            }
            return accept();
          }
          // Out of descriptors, mostly: there may be one in a while.
          pause_.expires_after(kPause);
          pause_.async_wait([this, held](error_code aborted) {
            if (!aborted && !held.expired()) accept();
          });
        });
  }

 private:
  // At the cost of the oldest connection that only idles, so that idling ones keep nobody out.
  bool make_room() {
    if (connections_.size() < kMostConnections) return true;
    std::erase_if(connections_, [](const auto& each) { return each.expired(); });
    if (connections_.size() < kMostConnections) return true;
    const auto idle = std::find_if(connections_.begin(), connections_.end(), [](const auto& each) {
      const auto connection = each.lock();
      return connection != nullptr && connection->close_if_idle();
    });
    if (idle == connections_.end()) return false;
    connections_.erase(idle);
    return true;
  }

  typename Protocol::acceptor acceptor_;
  asio::steady_timer pause_;
  std::weak_ptr<supervisor::Control*> control_;
  Scope scope_;
  std::deque<std::weak_ptr<OperatorConnection>> connections_;  // the oldest first
};

// The file of a socket, which goes with the server. One that was moved from is none.
class SocketFile {
 public:
  explicit SocketFile(std::filesystem::path path) : path_(std::move(path)) {
    static_cast<void>(::lstat(path_.c_str(), &own_));
  }
  ~SocketFile() {
    // Another server may have taken the path since.
    struct stat now {};
    const bool is_own =
        ::lstat(path_.c_str(), &now) == 0 && now.st_dev == own_.st_dev && now.st_ino == own_.st_ino;
    if (is_own) ::unlink(path_.c_str());
  }
  SocketFile(const SocketFile&) = delete;
  SocketFile& operator=(const SocketFile&) = delete;

 private:
  std::filesystem::path path_;
  struct stat own_ {};
};

// All that lets the operator in.
struct Doors {
  Held control;  // sessions outlive the doors, not the server
  std::unique_ptr<Endpoint<Local>> local;
  std::unique_ptr<SocketFile> file;
  std::optional<worker::ListeningSocket> health_socket;
  std::unique_ptr<Endpoint<Tcp>> health_tcp;
  std::unique_ptr<Endpoint<Local>> health_local;
};

error_code listen_on(Endpoint<Local>& endpoint, const std::filesystem::path& path) {
  error_code error;
  if (path.native().size() >= 108) return asio::error::make_error_code(asio::error::name_too_long);
  if (somebody_listens(path)) return asio::error::make_error_code(asio::error::address_in_use);
  struct stat found {};
  if (::lstat(path.c_str(), &found) == 0 && S_ISSOCK(found.st_mode)) ::unlink(path.c_str());
  Local::acceptor& acceptor = endpoint.acceptor();
  acceptor.open(Local(), error);
  if (error) return error;
  // Nobody else may connect at any moment, so the mode is right from the beginning.
  const mode_t before = ::umask(0177);
  acceptor.bind(Local::endpoint(path.string()), error);
  ::umask(before);
  if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
  return error;
}

core::Result<void> open_local(asio::io_context& io, Doors& doors,
                              const std::filesystem::path& path) {
  auto endpoint = std::make_unique<Endpoint<Local>>(io, doors.control, Scope::all);
  if (const error_code error = listen_on(*endpoint, path)) {
    return core::host_error("host.admin",
                            fmt::format("the operator's socket {} cannot be opened: {}; choose "
                                        "another path (--control), of at most 107 bytes",
                                        path.string(), error.message()));
  }
  doors.file = std::make_unique<SocketFile>(path);
  doors.local = std::move(endpoint);
  doors.local->accept();
  return {};
}

core::Result<void> open_health(asio::io_context& io, Doors& doors, const config::Bind& bind) {
  auto socket = worker::ListeningSocket::bind(bind);
  if (!socket) return socket.error();
  if (auto listening = socket->listen(); !listening) return listening.error();
  core::log::info("health is answered on {}", socket->url());
  const auto open = [&](auto& place, auto protocol) {
    using Protocol = decltype(protocol);
    place = std::make_unique<Endpoint<Protocol>>(io, doors.control, Scope::health);
    place->acceptor().assign(protocol, ::fcntl(socket->descriptor(), F_DUPFD_CLOEXEC, 0));
    place->accept();
  };
  if (bind.kind == config::Bind::Kind::unix_socket) {
    open(doors.health_local, Local());
  } else {
    open(doors.health_tcp, Tcp::v4());
  }
  doors.health_socket.emplace(std::move(*socket));
  return {};
}

}  // namespace

core::Result<std::shared_ptr<void>> open_control(asio::io_context& io, supervisor::Control& control,
                                                 const config::Config& config) {
  const auto doors = std::make_shared<Doors>();
  doors->control = std::make_shared<supervisor::Control*>(&control);
  if (!config.control.empty()) {
    if (auto opened = open_local(io, *doors, config.control); !opened) return opened.error();
  } else {
    core::Result<void> opened;
    if (const auto path = usual_control_path(::getpid())) {
      opened = open_local(io, *doors, *path);
    } else {
      opened = path.error();
    }
    if (!opened) {
      core::log::warning("the operator has no socket (name one with --control): {}",
                         opened.error().message);
    }
  }
  if (config.health) {
    if (auto opened = open_health(io, *doors, *config.health); !opened) return opened.error();
  }
  return std::shared_ptr<void>(doors);
}

}  // namespace sonicorn::admin
