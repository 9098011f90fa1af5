#include "admin/endpoint.hpp"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/basic_stream.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <chrono>
#include <optional>
#include <string>
#include <utility>

// The parser that requests go through is made where they are parsed, as that code is compiled.
extern template class boost::beast::http::basic_parser<true>;

namespace sonicorn::admin {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using Local = asio::local::stream_protocol;

constexpr std::chrono::seconds kPatience{10};
constexpr std::chrono::milliseconds kPause{200};
constexpr std::uint32_t kLargestHead = 8 * 1024;

using Response = http::response<http::string_body>;

// One client of the operator: one request, one answer, as often as it likes.
class Session final : public std::enable_shared_from_this<Session> {
 public:
  Session(Local::socket socket, std::weak_ptr<worker::Overview*> overview)
      : stream_(std::move(socket)), overview_(std::move(overview)) {}

  void read() {
    parser_.emplace();
    parser_->header_limit(kLargestHead);
    parser_->body_limit(0);
    stream_.expires_after(kPatience);
    http::async_read(stream_, buffer_, *parser_,
                     [self = shared_from_this()](beast::error_code error, std::size_t) {
                       if (!error) self->answer();
                     });
  }

 private:
  void answer() {
    const auto overview = overview_.lock();
    if (overview == nullptr) return;
    const http::request<http::string_body>& request = parser_->get();
    if (request.method() != http::verb::get) {
      return send(http::status::method_not_allowed, "text/plain", "only GET is answered here\n");
    }
    const std::string_view target = request.target();
    std::string why_not;
    if (target == "/livez") return send(http::status::ok, "text/plain", "alive\n");
    if (target == "/readyz") {
      if ((*overview)->is_ready(why_not)) return send(http::status::ok, "text/plain", "ready\n");
      return send(http::status::service_unavailable, "text/plain", "not ready: " + why_not + "\n");
    }
    if (target == "/metrics") {
      return send(http::status::ok, "text/plain; version=0.0.4; charset=utf-8",
                  (*overview)->metrics());
    }
    if (target == "/apps") {
      return (*overview)->describe_apps([self = shared_from_this()](std::string json) {
        self->send(http::status::ok, "application/json", std::move(json));
      });
    }
    send(http::status::not_found, "text/plain", "here are /livez /readyz /metrics /apps\n");
  }

  void send(http::status status, const char* type, std::string body) {
    response_ = Response(status, 11);
    response_.set(http::field::content_type, type);
    response_.keep_alive(parser_->get().keep_alive());
    response_.body() = std::move(body);
    response_.prepare_payload();
    stream_.expires_after(kPatience);
    http::async_write(stream_, response_,
                      [self = shared_from_this()](beast::error_code error, std::size_t) {
                        if (!error && self->response_.keep_alive()) self->read();
                      });
  }

  beast::basic_stream<Local> stream_;
  std::weak_ptr<worker::Overview*> overview_;
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  Response response_;
};

class Endpoint {
 public:
  Endpoint(asio::io_context& io, worker::Overview& overview, std::filesystem::path path)
      : acceptor_(io),
        pause_(io),
        overview_(std::make_shared<worker::Overview*>(&overview)),
        path_(std::move(path)) {}
  ~Endpoint() {
    if (acceptor_.is_open()) ::unlink(path_.c_str());
  }
  Endpoint(const Endpoint&) = delete;
  Endpoint& operator=(const Endpoint&) = delete;

  beast::error_code open() {
    beast::error_code error;
    const std::string path = path_.string();
    if (path.size() >= 108) return asio::error::make_error_code(asio::error::name_too_long);
    if (somebody_listens(path)) return asio::error::make_error_code(asio::error::address_in_use);
    struct stat found {};
    if (::lstat(path.c_str(), &found) == 0 && S_ISSOCK(found.st_mode)) ::unlink(path.c_str());
    Local::acceptor acceptor(acceptor_.get_executor());
    acceptor.open(Local(), error);
    if (error) return error;
    // Nobody else may connect at any moment, so the mode is right from the beginning.
    const mode_t before = ::umask(0177);
    acceptor.bind(Local::endpoint(path), error);
    ::umask(before);
    if (!error) acceptor.listen(asio::socket_base::max_listen_connections, error);
    if (error) return error;
    acceptor_ = std::move(acceptor);
    accept();
    return {};
  }

 private:
  bool somebody_listens(const std::string& path) {
    Local::socket probe(acceptor_.get_executor());
    beast::error_code error;
    probe.connect(Local::endpoint(path), error);
    return !error;
  }

  void accept() {
    acceptor_.async_accept([this](beast::error_code error, Local::socket socket) {
      if (error == asio::error::operation_aborted) return;
      if (!error) {
        std::make_shared<Session>(std::move(socket), overview_)->read();
        return accept();
      }
      // Out of descriptors, mostly: there may be one in a while.
      pause_.expires_after(kPause);
      pause_.async_wait([this](beast::error_code aborted) {
        if (!aborted) accept();
      });
    });
  }

  Local::acceptor acceptor_;
  asio::steady_timer pause_;
  std::shared_ptr<worker::Overview*> overview_;  // sessions outlive the endpoint, not the overview
  std::filesystem::path path_;
};

}  // namespace

core::Result<std::shared_ptr<void>> open_endpoint(asio::io_context& io, worker::Overview& overview,
                                                  const std::filesystem::path& path) {
  const auto endpoint = std::make_shared<Endpoint>(io, overview, path);
  if (const beast::error_code error = endpoint->open()) {
    return core::host_error("host.admin",
                            fmt::format("the operator's socket {} cannot be opened: {}; choose "
                                        "another path (--admin), of at most 107 bytes",
                                        path.string(), error.message()));
  }
  return std::shared_ptr<void>(endpoint);
}

}  // namespace sonicorn::admin
