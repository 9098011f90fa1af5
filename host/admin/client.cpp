#include "admin/client.hpp"

#include <fmt/format.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <boost/beast/http/write.hpp>
#include <limits>

namespace sonicorn::admin {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using Local = asio::local::stream_protocol;

core::Error failure(const std::filesystem::path& control, const std::string& what) {
  return core::host_error(
      "host.admin",
      fmt::format("{}: {}; does the server still run? ('sonicorn serve --control PATH' names its "
                  "socket)",
                  control.string(), what));
}

}  // namespace

core::Result<Reply> ask_server(const std::filesystem::path& control, const std::string& method,
                               const std::string& target) {
  if (control.native().size() >= 108) return failure(control, "the path is too long for a socket");
  asio::io_context io;
  Local::socket socket(io);
  beast::error_code error;
  socket.connect(Local::endpoint(control.string()), error);
  if (error) return failure(control, error.message());
  http::request<http::empty_body> request;
  request.method_string(method);
  request.target(target);
  request.version(11);
  request.set(http::field::host, "sonicorn");
  request.keep_alive(false);
  request.prepare_payload();
  http::write(socket, request, error);
  if (error) return failure(control, error.message());
  beast::flat_buffer buffer;
  http::response_parser<http::string_body> parser;
  parser.body_limit(std::numeric_limits<std::uint64_t>::max());
  http::read(socket, buffer, parser, error);
  if (error) return failure(control, error.message());
  return Reply{parser.get().result_int(), std::move(parser.get().body())};
}

}  // namespace sonicorn::admin
