// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sonicorn/capability/websocket.h>
#include <sonicorn/websocket.h>

#include <cstdint>
#include <memory>
#include <sonicorn/cpp/exchange.hpp>
#include <sonicorn/cpp/text.hpp>
#include <string_view>
#include <utility>

namespace sonicorn {

// How the server took a message for a WebSocket.
enum class Sent : std::int32_t {
  queued = SONICORN_OK,
  full = SONICORN_DECLINED,  // the queue is full: the peer reads slower than the app writes
  closed = SONICORN_ERROR,   // the connection is gone, or the server delivers no websocket/1
};

namespace detail {

inline Sent send(const sonicorn_websocket_service* service, sonicorn_websocket* socket,
                 std::uint32_t kind, std::string_view payload) {
  if (service == nullptr) return Sent::closed;
  const std::int32_t result = service->send(socket, kind, payload.data(), payload.size());
  if (result < 0) return Sent::closed;
  return result == SONICORN_OK ? Sent::queued : Sent::full;
}

}  // namespace detail

// A WebSocket that outlives the calls about it: any thread may send on it, also after the peer went
// (then the answer is `closed`). Movable; must be destroyed before `shutdown` returns.
class PinnedWebSocket {
 public:
  PinnedWebSocket(const sonicorn_websocket_service* service, sonicorn_websocket* socket)
      : service_(service), socket_(socket) {
    if (service_ != nullptr) service_->pin(socket_);
  }
  PinnedWebSocket(PinnedWebSocket&& other) noexcept
      : service_(std::exchange(other.service_, nullptr)), socket_(other.socket_) {}
  PinnedWebSocket& operator=(PinnedWebSocket&& other) noexcept {
    std::swap(service_, other.service_);
    std::swap(socket_, other.socket_);
    return *this;
  }
  ~PinnedWebSocket() {
    if (service_ != nullptr) service_->unpin(socket_);
  }

  // Queues one message, which is copied; `text` must be UTF-8.
  Sent send_text(std::string_view text) const {
    return detail::send(service_, socket_, SONICORN_WEBSOCKET_TEXT, text);
  }
  Sent send_binary(std::string_view bytes) const {
    return detail::send(service_, socket_, SONICORN_WEBSOCKET_BINARY, bytes);
  }

 private:
  const sonicorn_websocket_service* service_;
  sonicorn_websocket* socket_;
};

// One WebSocket during a call about it, with an object of the app that lives as long as the
// connection. Valid until the call returns; one thread. pin() gives one for later and for other
// threads.
class WebSocket {
 public:
  WebSocket(const sonicorn_websocket_service* service, sonicorn_websocket* socket,
            std::unique_ptr<detail::Attachment> session)
      : service_(service), socket_(socket), session_(std::move(session)) {}

  // Queues one message, which is copied; `text` must be UTF-8.
  Sent send_text(std::string_view text) {
    return detail::send(service_, socket_, SONICORN_WEBSOCKET_TEXT, text);
  }
  Sent send_binary(std::string_view bytes) {
    return detail::send(service_, socket_, SONICORN_WEBSOCKET_BINARY, bytes);
  }

  // Starts the closing handshake with `code` (RFC 6455 7.4).
  void close(unsigned code = 1000, std::string_view message = {}) {
    if (service_ != nullptr) service_->close(socket_, code, message.data(), message.size());
  }

  PinnedWebSocket pin() const { return {service_, socket_}; }

  // on_websocket_open: makes a T that the other two find with session<T>(); it dies after
  // on_websocket_close.
  template <class T, class... Args>
  T& emplace_session(Args&&... args) {
    auto made = std::make_unique<detail::AttachmentOf<T>>(std::forward<Args>(args)...);
    T& value = made->value;
    session_ = std::move(made);
    return value;
  }

  // What emplace_session<T> made, or nullptr.
  template <class T>
  T* session() const {
    auto* found = dynamic_cast<detail::AttachmentOf<T>*>(session_.get());
    return found == nullptr ? nullptr : &found->value;
  }

  // For the glue between the C functions and the members.
  std::unique_ptr<detail::Attachment> release() { return std::move(session_); }

 private:
  const sonicorn_websocket_service* service_;
  sonicorn_websocket* socket_;
  std::unique_ptr<detail::Attachment> session_;
};

// One whole message. A view, valid until the call returns.
class WebSocketMessage {
 public:
  explicit WebSocketMessage(const sonicorn_websocket_message* message) : message_(message) {}
  bool is_text() const { return message_->kind == SONICORN_WEBSOCKET_TEXT; }

  // Valid UTF-8 when is_text().
  std::string_view payload() const { return detail::view_of(message_->payload); }

 private:
  const sonicorn_websocket_message* message_;
};

// How a WebSocket ended. A view, valid until the call returns.
class WebSocketEnd {
 public:
  explicit WebSocketEnd(const sonicorn_websocket_end* end) : end_(end) {}

  // RFC 6455 7.4; 1006 when the peer vanished.
  unsigned code() const { return end_->code; }

  // The peer's reason; may be empty.
  std::string_view message() const { return detail::view_of(end_->message); }

 private:
  const sonicorn_websocket_end* end_;
};

}  // namespace sonicorn
