#include "dev/front.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>
#include <chrono>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

#include "dev/page.hpp"

// The parser that requests go through is made where they are parsed, as that code is compiled.
extern template class boost::beast::http::basic_parser<true>;

namespace sonicorn::dev {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using boost::system::error_code;
using Generic = asio::generic::stream_protocol;
using Tcp = asio::ip::tcp;

constexpr std::chrono::milliseconds kPause{200};

std::string_view std_view(boost::beast::string_view text) { return {text.data(), text.size()}; }

bool contains(std::string_view text, std::string_view part) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::search(text.begin(), text.end(), part.begin(), part.end(),
                     [lower](char a, char b) { return lower(a) == b; }) != text.end();
}

template <class Fields>
std::string lines_of(const Fields& fields) {
  std::string lines;
  for (const auto& field : fields) {
    lines += fmt::format("{}: {}\r\n", std_view(field.name_string()), std_view(field.value()));
  }
  return lines + "\r\n";
}

std::string head_of(const http::response<http::string_body>& response) {
  return fmt::format("HTTP/1.1 {} {}\r\n{}", response.result_int(), std_view(response.reason()),
                     lines_of(response));
}

}  // namespace

// The listening socket and what its connections have in common.
class Front::Impl : public std::enable_shared_from_this<Front::Impl> {
 public:
  class Session;

  Impl(asio::io_context& io, int descriptor) : io_(io), acceptor_(io), pause_(io) {
    acceptor_.assign(Tcp::v4(), descriptor);
  }

  void accept();
  void show(Situation situation);
  void close();

  // Of all that is shown; no other one of this or of another program is the same.
  std::string version() const { return fmt::format("{}-{}", run_, number_); }

 private:
  friend class Session;

  asio::io_context& io_;
  Tcp::acceptor acceptor_;
  asio::steady_timer pause_;
  Situation situation_;
  std::int64_t run_ = std::chrono::system_clock::now().time_since_epoch().count();
  unsigned number_ = 0;
  std::set<Session*> sessions_;  // each takes itself out when it ends
};

// One connection and the one request on it: an answer to a developer need not be quick, and the end
// of a connection is the plainest end of an answer.
class Front::Impl::Session : public std::enable_shared_from_this<Session> {
 public:
  Session(std::shared_ptr<Impl> front, Generic::socket client)
      : front_(std::move(front)), client_(std::move(client)), upstream_(front_->io_) {
    front_->sessions_.insert(this);
  }
  ~Session() { front_->sessions_.erase(this); }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  void read();
  void close();
  // To a page that listens.
  void tell_version();

 private:
  using Bytes = std::array<char, 16 * 1024>;

  void answer();
  bool answer_own(std::string_view target);
  void listen();
  void forward();
  void read_head();
  void on_head();
  void send_html();
  void relay();
  void pump(Generic::socket& from, Generic::socket& to, Bytes& bytes);
  void watch_client();
  void send_notice(unsigned status, std::string_view title, std::string_view text);
  void send(unsigned status, std::string_view type, std::string_view body);
  void send_and_close(std::string bytes);

  std::shared_ptr<Impl> front_;
  Generic::socket client_;
  Generic::socket upstream_;
  boost::beast::flat_buffer from_client_;
  boost::beast::flat_buffer from_upstream_;
  std::optional<http::request_parser<http::string_body>> parser_;
  std::optional<http::response_parser<http::string_body>> reply_;
  http::request<http::string_body> request_;
  std::string version_;  // of what the answer shows
  std::string out_;
  Bytes down_{};
  Bytes up_{};
  bool is_upgrade_ = false;
  bool is_page_ = false;     // it listens for versions
  bool is_telling_ = false;  // one is on its way
  std::string told_;
};

void Front::Impl::accept() {
  acceptor_.async_accept([self = shared_from_this()](error_code error, Tcp::socket socket) {
    if (error == asio::error::operation_aborted) return;
    if (!error) {
      std::make_shared<Session>(self, Generic::socket(std::move(socket)))->read();
      return self->accept();
    }
    // Out of descriptors, mostly: there may be one in a while.
    self->pause_.expires_after(kPause);
    self->pause_.async_wait([self](error_code aborted) {
      if (!aborted) self->accept();
    });
  });
}

void Front::Impl::show(Situation situation) {
  situation_ = std::move(situation);
  ++number_;
  for (Session* const session : sessions_) session->tell_version();
}

void Front::Impl::close() {
  error_code ignored;
  acceptor_.close(ignored);
  pause_.cancel();
  for (Session* const session : sessions_) session->close();
}

void Front::Impl::Session::read() {
  parser_.emplace();
  // The server has limits of its own.
  parser_->body_limit(boost::none);
  parser_->header_limit(256 * 1024);
  http::async_read(client_, from_client_, *parser_,
                   [self = shared_from_this()](error_code error, std::size_t) {
                     if (!error) return self->answer();
                     if (error != http::error::end_of_stream && self->client_.is_open()) {
                       self->send(400, "text/plain", "this is no HTTP/1.1 request\n");
                     }
                   });
}

void Front::Impl::Session::close() {
  error_code ignored;
  client_.close(ignored);
  upstream_.close(ignored);
}

void Front::Impl::Session::answer() {
  request_ = parser_->release();
  version_ = front_->version();
  if (answer_own(std_view(request_.target()))) return;
  const Situation& situation = front_->situation_;
  if (!situation.upstream.empty()) return forward();
  send_notice(situation.status, situation.title, situation.text);
}

bool Front::Impl::Session::answer_own(std::string_view target) {
  if (!target.starts_with(kOwnTargets)) return false;
  target = target.substr(0, target.find('?'));
  if (target == kEventsTarget) {
    listen();
  } else if (target == kScriptTarget) {
    send(200, "text/javascript; charset=utf-8", script());
  } else {
    send(404, "text/plain", "here are /__sonicorn/dev.js and /__sonicorn/events\n");
  }
  return true;
}

// An event stream (HTML, "Server-sent events").
void Front::Impl::Session::listen() {
  is_page_ = true;
  is_telling_ = true;
  out_ =
      "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
      "Connection: close\r\n\r\nretry: 500\n\n";
  watch_client();
  asio::async_write(client_, asio::buffer(out_),
                    [self = shared_from_this()](error_code error, std::size_t) {
                      self->is_telling_ = false;
                      if (!error) self->tell_version();
                    });
}

void Front::Impl::Session::tell_version() {
  const std::string version = front_->version();
  if (!is_page_ || is_telling_ || told_ == version) return;
  is_telling_ = true;
  told_ = version;
  out_ = fmt::format("data: {}\n\n", version);
  asio::async_write(client_, asio::buffer(out_),
                    [self = shared_from_this()](error_code error, std::size_t) {
                      self->is_telling_ = false;
                      // There may have been another meanwhile.
                      if (!error) self->tell_version();
                    });
}

void Front::Impl::Session::forward() {
  is_upgrade_ = request_.find(http::field::upgrade) != request_.end();
  if (!is_upgrade_) request_.set(http::field::connection, "close");
  // The body is here already.
  request_.erase(http::field::expect);
  request_.erase(http::field::transfer_encoding);
  // A page that the browser has kept knows nothing of this version.
  if (contains(std_view(request_[http::field::accept]), "text/html")) {
    request_.erase(http::field::if_none_match);
    request_.erase(http::field::if_modified_since);
  }
  request_.prepare_payload();
  out_ = fmt::format("{} {} HTTP/1.1\r\n{}{}", std_view(request_.method_string()),
                     std_view(request_.target()), lines_of(request_), request_.body());
  watch_client();
  upstream_.async_connect(
      asio::local::stream_protocol::endpoint(front_->situation_.upstream),
      [self = shared_from_this()](error_code connected) {
        if (connected) {
          return self->send_notice(503, "The server is not there",
                                   "It ended, or is just being started; the terminal says more.");
        }
        asio::async_write(self->upstream_, asio::buffer(self->out_),
                          // One that refuses a request may do so before it has read all of it.
                          [self](error_code, std::size_t) { self->read_head(); });
      });
}

void Front::Impl::Session::read_head() {
  reply_.emplace();
  reply_->body_limit(boost::none);
  reply_->header_limit(256 * 1024);
  if (request_.method() == http::verb::head) reply_->skip(true);
  http::async_read_header(
      upstream_, from_upstream_, *reply_,
      [self = shared_from_this()](error_code error, std::size_t) {
        if (!error) return self->on_head();
        self->send_notice(502, "No answer from the app",
                          "The server closed the connection before it answered: the app may have "
                          "crashed. The terminal says more.");
      });
}

void Front::Impl::Session::on_head() {
  auto& response = reply_->get();
  const unsigned status = response.result_int();
  if (status < 200 && status != 101) return read_head();  // an interim answer
  if (status == 101) return relay();
  response.set(http::field::connection, "close");
  const bool is_html = contains(std_view(response[http::field::content_type]), "text/html");
  if (is_html) response.set(http::field::cache_control, "no-store");
  const bool is_whole = request_.method() != http::verb::head && status != 204 && status != 304;
  if (!is_html || !is_whole || response.count(http::field::content_encoding) != 0) return relay();
  http::async_read(upstream_, from_upstream_, *reply_,
                   [self = shared_from_this()](error_code error, std::size_t) {
                     if (!error) return self->send_html();
                     self->send_notice(502, "Half an answer from the app",
                                       "The connection ended before the answer did; the terminal "
                                       "says more.");
                   });
}

void Front::Impl::Session::send_html() {
  http::response<http::string_body> response = reply_->release();
  std::string html = with_script(std::move(response.body()), version_);
  response.erase(http::field::transfer_encoding);
  response.set(http::field::content_length, std::to_string(html.size()));
  send_and_close(head_of(response) + html);
}

// All that comes as it comes: for what may be large, or never end.
void Front::Impl::Session::relay() {
  out_ = head_of(reply_->get());
  const auto rest = from_upstream_.data();
  out_.append(static_cast<const char*>(rest.data()), rest.size());
  asio::async_write(client_, asio::buffer(out_),
                    [self = shared_from_this()](error_code error, std::size_t) {
                      if (error) return self->close();
                      self->pump(self->upstream_, self->client_, self->down_);
                      if (self->is_upgrade_) self->pump(self->client_, self->upstream_, self->up_);
                    });
}

void Front::Impl::Session::pump(Generic::socket& from, Generic::socket& to, Bytes& bytes) {
  from.async_read_some(asio::buffer(bytes), [self = shared_from_this(), &from, &to, &bytes](
                                                error_code error, std::size_t size) {
    if (error) return self->close();
    asio::async_write(to, asio::buffer(bytes.data(), size),
                      [self, &from, &to, &bytes](error_code failed, std::size_t) {
                        if (failed) return self->close();
                        self->pump(from, to, bytes);
                      });
  });
}

// A client that goes away is to be noticed while nothing is sent to it; the app is told, too.
void Front::Impl::Session::watch_client() {
  if (is_upgrade_) return;
  client_.async_wait(Generic::socket::wait_read, [self = shared_from_this()](error_code error) {
    error_code ignored;
    if (!error && self->client_.available(ignored) == 0) self->close();
  });
}

void Front::Impl::Session::send_notice(unsigned status, std::string_view title,
                                       std::string_view text) {
  send(status, "text/html; charset=utf-8", notice_page(title, text, version_));
}

void Front::Impl::Session::send(unsigned status, std::string_view type, std::string_view body) {
  const auto reason = http::obsolete_reason(static_cast<http::status>(status));
  const bool to_head = request_.method() == http::verb::head;
  send_and_close(fmt::format(
      "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nContent-Length: {}\r\nCache-Control: no-store\r\n"
      "Connection: close\r\n\r\n{}",
      status, std_view(reason), type, body.size(), to_head ? std::string_view() : body));
}

void Front::Impl::Session::send_and_close(std::string bytes) {
  out_ = std::move(bytes);
  asio::async_write(client_, asio::buffer(out_),
                    [self = shared_from_this()](error_code, std::size_t) { self->close(); });
}

Front::Front(asio::io_context& io, int descriptor) : impl_(std::make_shared<Impl>(io, descriptor)) {
  impl_->accept();
}

Front::~Front() { close(); }

void Front::show(Situation situation) { impl_->show(std::move(situation)); }

void Front::close() { impl_->close(); }

}  // namespace sonicorn::dev
