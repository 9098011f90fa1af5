#include "process/channel.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/write.hpp>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <deque>
#include <string>

namespace sonicorn::process {
namespace {

namespace asio = boost::asio;
using Json = nlohmann::json;

// A configuration has at most 1 MiB, and metrics are text; more than this is no message.
constexpr std::uint32_t kLargest = 64 << 20;

core::Error channel_error(std::string_view what) {
  return core::host_error("host.channel", fmt::format("between supervisor and worker: {}", what));
}

bool read_all(int fd, char* into, std::size_t size) {
  while (size != 0) {
    const ssize_t got = ::read(fd, into, size);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return false;
    into += got;
    size -= static_cast<std::size_t>(got);
  }
  return true;
}

}  // namespace

core::Result<ChannelEnds> make_channel() {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return channel_error(std::strerror(errno));
  }
  return ChannelEnds{ends[0], ends[1]};
}

class Channel::Impl : public std::enable_shared_from_this<Impl> {
 public:
  Impl(asio::io_context& io, int fd) : socket_(io, asio::local::stream_protocol(), fd) {}

  void listen(std::function<void(Json)> on_message, std::function<void()> on_closed) {
    on_message_ = std::move(on_message);
    on_closed_ = std::move(on_closed);
    read();
  }

  void send(const Json& message) {
    if (closed_ || mute_) return;
    const std::string text = message.dump(-1, ' ', false, Json::error_handler_t::replace);
    const auto size = static_cast<std::uint32_t>(text.size());
    std::string framed(sizeof(size), '\0');
    std::memcpy(framed.data(), &size, sizeof(size));
    waiting_.push_back(framed + text);
    if (waiting_.size() == 1) write();
  }

  void close() {
    on_message_ = nullptr;
    on_closed_ = nullptr;
    shut();
  }

 private:
  void read() {
    asio::async_read(socket_, asio::buffer(&size_, sizeof(size_)),
                     [self = shared_from_this()](const boost::system::error_code& error, auto) {
                       if (error || self->size_ > kLargest) return self->end();
                       self->text_.resize(self->size_);
                       self->read_text();
                     });
  }

  void read_text() {
    asio::async_read(socket_, asio::buffer(text_),
                     [self = shared_from_this()](const boost::system::error_code& error, auto) {
                       if (error) return self->end();
                       Json message = Json::parse(self->text_, nullptr, false);
                       if (!message.is_object()) return self->end();
                       try {
                         // A copy, for whoever is called may let go of the channel.
                         if (const auto use = self->on_message_) use(std::move(message));
                       } catch (const Json::exception&) {
                         // Not of the form that it should have: an app may write there, too.
                         return self->end();
                       }
                       if (!self->closed_) self->read();
                     });
  }

  void write() {
    asio::async_write(socket_, asio::buffer(waiting_.front()),
                      [self = shared_from_this()](const boost::system::error_code& error, auto) {
                        if (error) {
                          // Nobody listens there, but what was said before may still be heard.
                          self->mute_ = true;
                          return self->waiting_.clear();
                        }
                        self->waiting_.pop_front();
                        if (!self->waiting_.empty()) self->write();
                      });
  }

  void end() {
    shut();
    on_message_ = nullptr;
    if (const auto closed = std::exchange(on_closed_, nullptr)) closed();
  }

  void shut() {
    closed_ = true;
    boost::system::error_code ignored;
    socket_.close(ignored);
  }

  asio::local::stream_protocol::socket socket_;
  std::function<void(Json)> on_message_;
  std::function<void()> on_closed_;
  std::uint32_t size_ = 0;
  std::string text_;
  std::deque<std::string> waiting_;
  bool closed_ = false;
  bool mute_ = false;  // nothing can be sent any more
};

Channel::Channel(asio::io_context& io, int fd) : impl_(std::make_shared<Impl>(io, fd)) {}

Channel::~Channel() { impl_->close(); }

void Channel::listen(std::function<void(Json)> on_message, std::function<void()> on_closed) {
  impl_->listen(std::move(on_message), std::move(on_closed));
}

void Channel::send(const Json& message) { impl_->send(message); }

core::Result<Json> Channel::read_one(int fd) {
  std::uint32_t size = 0;
  if (!read_all(fd, reinterpret_cast<char*>(&size), sizeof(size)) || size > kLargest) {
    return channel_error("the supervisor said nothing");
  }
  std::string text(size, '\0');
  if (!read_all(fd, text.data(), text.size())) return channel_error("the message is not whole");
  Json message = Json::parse(text, nullptr, false);
  if (!message.is_object()) return channel_error("this is no message");
  return core::Result<Json>(boost::system::in_place_value, std::move(message));
}

}  // namespace sonicorn::process
