#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "support/files.hpp"
#include "support/server.hpp"

namespace support {

// An answer, read strictly: what is no well-formed HTTP/1.1 message throws.
struct Response {
  int status = 0;
  std::string version;  // "HTTP/1.1"
  std::vector<std::pair<std::string, std::string>> fields;
  std::string body;

  // The value of the field (any case); empty when there is none. Throws when there are several.
  std::string field(std::string_view name) const;
  bool has(std::string_view name) const;
};

// "GET TARGET HTTP/1.1" with a Host and these further header lines, each ending in CRLF.
std::string get(std::string_view target, std::string_view lines = {});

// A POST with Content-Length.
std::string post(std::string_view target, std::string_view body, std::string_view lines = {});

// A raw connection. Every wait has a limit and throws past it. One thread may use it.
class Client {
 public:
  // `receive_buffer` bytes instead of the system's default; 0: that default.
  explicit Client(const Endpoint& endpoint, int receive_buffer = 0);
  ~Client();
  Client(Client&& other) noexcept;
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // How long any later wait may take; kPatience before the first call.
  void set_limit(std::chrono::milliseconds limit) { limit_ = limit; }

  // All of it in as few segments as the system likes. False when the server closed before it took
  // all.
  bool send(std::string_view bytes);

  // Sends what the system takes at once; returns how many bytes that were.
  std::size_t send_some(std::string_view bytes);

  // Whether the system takes more bytes within the limit.
  bool writable(std::chrono::milliseconds limit);

  // Each piece only after the server took the one before; so only on a Unix socket. False, and no
  // further piece, when the server closes its direction before the last.
  bool send_pieces(const std::vector<std::string_view>& pieces);

  // The next final answer; interim ones (1xx) before it are counted in interim(). `to_head`: to a
  // HEAD request, so without a body whatever its fields say.
  Response read_response(bool to_head = false);

  // All answers until the server closes; `first_to_head`: the first is one to a HEAD request.
  std::vector<Response> read_responses(bool first_to_head = false);

  // Sends a request and reads its answer.
  Response ask(std::string_view request, bool to_head = false);

  int interim() const { return interim_; }

  // The next interim answer's status.
  int read_interim();

  // All that comes until the server closes.
  std::string read_to_end();

  // Whether the server closes without sending another byte.
  bool closes();

  // Whether anything (bytes or the end) arrives within the limit.
  bool readable(std::chrono::milliseconds limit);

  // Ends the sending direction.
  void shut_down_sending();

  // Closes with a reset instead of an orderly end.
  void reset();

  int descriptor() const { return fd_; }

 private:
  bool fill();
  bool taken_by_server();
  bool at_end();
  Response read_head();
  std::string take_line();
  std::string take_chunked();
  std::string take(std::size_t size);

  int fd_ = -1;
  int interim_ = 0;
  std::chrono::milliseconds limit_ = kPatience;
  std::string buffer_;
};

// One request on a connection of its own.
Response ask(const Endpoint& endpoint, std::string_view request, bool to_head = false);

}  // namespace support
