#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "core/result.hpp"

namespace sonicorn::process {

// The two ends of a stream between two processes, each close-on-exec.
struct ChannelEnds {
  int ours = -1;
  int theirs = -1;
};
// Errors: host.channel.
core::Result<ChannelEnds> make_channel();

// Messages between the supervisor and a worker: JSON objects, each with its length before it, in
// order. For the thread of `io`.
class Channel {
 public:
  using Json = nlohmann::json;

  // Takes the descriptor, a connected stream socket.
  Channel(boost::asio::io_context& io, int fd);
  // Calls nobody any more.
  ~Channel();
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  // From now on each message is handed to `on_message`; `on_closed` is called once, when the peer
  // has gone or says what is no message. Either may destroy the channel.
  void listen(std::function<void(Json)> on_message, std::function<void()> on_closed);

  // Queues a message; one for a peer that has gone is dropped.
  void send(const Json& message);

  // Reads one message from a descriptor, blocking: for a process that cannot begin without it.
  // Errors: host.channel.
  static core::Result<Json> read_one(int fd);

 private:
  class Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sonicorn::process
