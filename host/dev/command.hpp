#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "core/result.hpp"
#include "process/child.hpp"

namespace sonicorn::dev {

// A child process whose output, both streams in one, is read while it runs. For the thread of `io`,
// where children.reap() follows each SIGCHLD.
class Command : public std::enable_shared_from_this<Command> {
 public:
  struct Listener {
    std::function<void(std::string_view bytes)> on_output;
    // Once, after all output; `wait_status` as waitpid tells.
    std::function<void(int wait_status)> on_end;
  };

  // Both must outlive the child, or end with this program. Error: host.child_not_run; then the
  // listener is not called.
  static core::Result<std::shared_ptr<Command>> start(boost::asio::io_context& io,
                                                      process::Children& children,
                                                      process::SpawnRequest request,
                                                      Listener listener);

  // For start() alone.
  Command(boost::asio::io_context& io, Listener listener);

  // To the child, or to the whole process group that it leads; nothing once it has ended.
  void send_signal(int signal) const;
  void send_signal_to_group(int signal) const;

 private:
  enum class Got : std::uint8_t { some, nothing_yet, the_end };

  void await_output();
  Got read_some();
  void on_end(int wait_status);

  boost::asio::posix::stream_descriptor output_;
  Listener listener_;
  pid_t child_ = -1;
};

// "status 3", "signal 11 (Segmentation fault)", as waitpid tells.
std::string ending_of(int wait_status);

}  // namespace sonicorn::dev
