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

  // From now on clients may connect.
  core::Result<void> listen();

  ListeningSocket(ListeningSocket&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)),
        url_(std::move(other.url_)),
        path_(std::exchange(other.path_, {})) {}
  ListeningSocket& operator=(ListeningSocket&&) = delete;
  ~ListeningSocket();

  int descriptor() const { return fd_; }

  // Listens no more, but keeps the descriptor for a thread that may still use it.
  void abandon();

  // What was bound, with the port that the kernel chose: "http://127.0.0.1:8000" or
  // "unix:/run/x.sock".
  const std::string& url() const { return url_; }

 private:
  ListeningSocket(int fd, std::string url, std::string path)
      : fd_(fd), url_(std::move(url)), path_(std::move(path)) {}

  static core::Result<ListeningSocket> bind_tcp(const config::Bind& bind);
  static core::Result<ListeningSocket> bind_unix(const config::Bind& bind);

  int fd_;
  std::string url_;
  std::string path_;
};

}  // namespace sonicorn::worker
