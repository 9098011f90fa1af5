#pragma once

#include <string>
#include <utility>

#include "config/config.hpp"
#include "core/result.hpp"

namespace sonicorn::worker {

// A bound and listening, non-blocking socket. Movable; closes itself, and removes a Unix socket's
// file.
class ListeningSocket {
 public:
  // Takes the address. A Unix socket that nobody listens on any more is replaced.
  static core::Result<ListeningSocket> bind(const config::Bind& bind);

  // One that was bound elsewhere and stays open there: this closes its descriptor, and removes
  // nothing.
  static ListeningSocket adopt(int descriptor, std::string url) {
    return ListeningSocket(descriptor, std::move(url), {}, true);
  }

  // The address of a bound socket, as url() gives it.
  static std::string url_of_descriptor(int descriptor);

  // From now on clients may connect.
  core::Result<void> listen();

  ListeningSocket(ListeningSocket&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)),
        url_(std::move(other.url_)),
        path_(std::exchange(other.path_, {})),
        adopted_(other.adopted_) {}
  ListeningSocket& operator=(ListeningSocket&&) = delete;
  ~ListeningSocket();

  int descriptor() const { return fd_; }

  // Closes the descriptor, but keeps a Unix socket's file until the end: who listens on it has a
  // descriptor of its own.
  void let_go();

  // What was bound, with the port that the kernel chose: "http://127.0.0.1:8000" or
  // "unix:/run/x.sock".
  const std::string& url() const { return url_; }

 private:
  ListeningSocket(int fd, std::string url, std::string path, bool adopted = false)
      : fd_(fd), url_(std::move(url)), path_(std::move(path)), adopted_(adopted) {}

  static core::Result<ListeningSocket> bind_tcp(const config::Bind& bind);
  static core::Result<ListeningSocket> bind_unix(const config::Bind& bind);

  int fd_;
  std::string url_;
  std::string path_;
  bool adopted_;
};

}  // namespace sonicorn::worker
