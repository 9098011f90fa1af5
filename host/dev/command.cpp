#include "dev/command.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <utility>

#include "process/run.hpp"

namespace sonicorn::dev {

namespace asio = boost::asio;

namespace {

// A pipe holds fewer.
constexpr int kMostPieces = 64;

}  // namespace

Command::Command(asio::io_context& io, Listener listener)
    : output_(io), listener_(std::move(listener)) {}

core::Result<std::shared_ptr<Command>> Command::start(asio::io_context& io,
                                                      process::Children& children,
                                                      process::SpawnRequest request,
                                                      Listener listener) {
  std::array<int, 2> ends{-1, -1};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) {
    return core::host_error(
        "host.child_not_run",
        fmt::format("{}: it cannot be run, for its output cannot be read ({}); see that "
                    "descriptors are left",
                    request.argv.front(), std::strerror(errno)));
  }
  request.output = ends[1];
  request.errors = ends[1];
  const auto child = children.spawn(request);
  ::close(ends[1]);
  if (!child) {
    ::close(ends[0]);
    return child.error();
  }
  const auto command = std::make_shared<Command>(io, std::move(listener));
  command->child_ = *child;
  ::fcntl(ends[0], F_SETFL, O_NONBLOCK);
  command->output_.assign(ends[0]);
  children.watch(*child, [command](int wait_status) { command->on_end(wait_status); });
  command->await_output();
  return command;
}

void Command::send_signal(int signal) const {
  if (child_ > 0) ::kill(child_, signal);
}

void Command::send_signal_to_group(int signal) const {
  if (child_ > 0) ::kill(-child_, signal);
}

void Command::await_output() {
  output_.async_wait(asio::posix::stream_descriptor::wait_read,
                     [self = shared_from_this()](boost::system::error_code error) {
                       if (error || self->child_ < 0) return;
                       if (self->read_some() != Got::the_end) self->await_output();
                     });
}

Command::Got Command::read_some() {
  std::array<char, 16 * 1024> bytes;
  const ssize_t got = ::read(output_.native_handle(), bytes.data(), bytes.size());
  if (got < 0) return errno == EINTR || errno == EAGAIN ? Got::nothing_yet : Got::the_end;
  if (got == 0) return Got::the_end;
  listener_.on_output({bytes.data(), static_cast<std::size_t>(got)});
  return Got::some;
}

void Command::on_end(int wait_status) {
  child_ = -1;
  // What was written before the end. What the command left behind may write on and on.
  for (int pieces = 0; pieces < kMostPieces && read_some() == Got::some; ++pieces) {
  }
  boost::system::error_code ignored;
  output_.close(ignored);
  // The listener may hold this command.
  const Listener listener = std::exchange(listener_, {});
  listener.on_end(wait_status);
}

std::string ending_of(int wait_status) {
  process::RunEnd end;
  end.wait_status = wait_status;
  return end.ending();
}

}  // namespace sonicorn::dev
