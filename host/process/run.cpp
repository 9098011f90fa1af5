#include "process/run.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <memory>
#include <string_view>
#include <system_error>

#include "core/descriptor.hpp"

namespace sonicorn::process {
namespace {

namespace asio = boost::asio;

// The descriptor under a number that is none of the standard ones: they may be free where the
// server was started without them. None, with errno, when it cannot.
core::Descriptor above_standard(int number) {
  core::Descriptor taken(number);
  if (number < 0 || number > STDERR_FILENO) return taken;
  return core::Descriptor(::fcntl(number, F_DUPFD_CLOEXEC, STDERR_FILENO + 1));
}

// A file without a name that holds `text`. With it a command may read when and what it likes:
// nobody has to write to it, or gets a SIGPIPE. False, with errno, when it cannot be made.
bool make_input(std::string_view text, core::Descriptor& input) {
  input = above_standard(::memfd_create("input", MFD_CLOEXEC));
  if (input.number() < 0) return false;
  while (!text.empty()) {
    const ssize_t done = ::write(input.number(), text.data(), text.size());
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return false;
    text.remove_prefix(static_cast<std::size_t>(done));
  }
  return ::lseek(input.number(), 0, SEEK_SET) == 0;
}

bool make_pipe(core::Descriptor& reading, core::Descriptor& writing) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return false;
  reading = above_standard(ends[0]);
  writing = above_standard(ends[1]);
  return reading.number() >= 0 && writing.number() >= 0 &&
         ::fcntl(reading.number(), F_SETFL, O_NONBLOCK) == 0;
}

core::Error not_prepared(std::string_view file, int error) {
  return core::host_error(
      "host.child_not_run",
      fmt::format("{}: it cannot be run, for its standard input and output cannot be made ({}); "
                  "see that descriptors and memory are left",
                  file, std::generic_category().message(error)));
}

// One command on its way; keeps itself alive until it called `done`.
class Run : public std::enable_shared_from_this<Run> {
 public:
  Run(asio::io_context& io, Children& children, RunRequest request,
      std::function<void(RunEnd)> done)
      : children_(children),
        request_(std::move(request)),
        done_(std::move(done)),
        output_(io),
        timer_(io) {}

  void start() {
    end_.error = spawn();
    if (end_.error) {
      asio::post(timer_.get_executor(), [self = shared_from_this()] { self->finish(); });
      return;
    }
    children_.watch(child_, [self = shared_from_this()](int status) { self->on_end(status); });
    timer_.expires_after(request_.limit);
    timer_.async_wait([self = shared_from_this()](boost::system::error_code error) {
      if (!error) self->on_limit();
    });
    await_output();
  }

 private:
  enum class Got { some, nothing_yet, the_end };

  std::optional<core::Error> spawn() {
    core::Descriptor input;
    core::Descriptor reading;
    core::Descriptor writing;
    if (!make_input(request_.input, input) || !make_pipe(reading, writing)) {
      return not_prepared(request_.argv.front(), errno);
    }
    SpawnRequest request;
    request.argv = request_.argv;
    request.file = request_.file;
    request.environment = request_.environment;
    request.input = input.number();
    request.output = writing.number();
    request.errors = writing.number();
    const auto child = children_.spawn(request);
    if (!child) return child.error();
    child_ = *child;
    output_.assign(reading.release());
    request_.input = {};
    return std::nullopt;
  }

  void await_output() {
    output_.async_wait(asio::posix::stream_descriptor::wait_read,
                       [self = shared_from_this()](boost::system::error_code error) {
                         if (error || self->is_done_) return;
                         if (self->read_some() != Got::the_end) self->await_output();
                       });
  }

  Got read_some() {
    char buffer[16 * 1024];
    const ssize_t got = ::read(output_.native_handle(), buffer, sizeof buffer);
    if (got < 0) return errno == EINTR || errno == EAGAIN ? Got::nothing_yet : Got::the_end;
    if (got == 0) return Got::the_end;
    const auto size = static_cast<std::size_t>(got);
    const std::size_t room = request_.most_output - end_.output.size();
    end_.output.append(buffer, std::min(size, room));
    end_.cut = end_.cut || size > room;
    return Got::some;
  }

  // What was written before the end, and is still in the pipe. What the command left behind may
  // write on and on, so this has an end of its own.
  void read_rest() {
    while (!end_.cut && read_some() == Got::some) {
    }
  }

  void on_end(int status) {
    if (is_done_) return;
    end_.wait_status = status;
    read_rest();
    finish();
  }

  void on_limit() {
    if (is_done_) return;
    // It has not been reaped, so nobody else has this id.
    ::kill(-child_, SIGKILL);
    ::kill(child_, SIGKILL);
    // Nor is it waited for: what sleeps in the kernel may take its time to die.
    children_.forget(child_);
    end_.timed_out = true;
    read_rest();
    finish();
  }

  void finish() {
    is_done_ = true;
    timer_.cancel();
    boost::system::error_code ignored;
    output_.close(ignored);
    if (const auto done = std::exchange(done_, nullptr)) done(std::move(end_));
  }

  Children& children_;
  RunRequest request_;
  std::function<void(RunEnd)> done_;
  asio::posix::stream_descriptor output_;
  asio::steady_timer timer_;
  pid_t child_ = -1;
  bool is_done_ = false;
  RunEnd end_;
};

}  // namespace

bool RunEnd::ok() const {
  return !error && !timed_out && WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0;
}

std::string RunEnd::ending() const {
  if (!WIFSIGNALED(wait_status)) return fmt::format("status {}", WEXITSTATUS(wait_status));
  const int signal = WTERMSIG(wait_status);
  const char* const name = ::sigdescr_np(signal);
  return fmt::format("signal {} ({})", signal, name == nullptr ? "unknown" : name);
}

void run(asio::io_context& io, Children& children, RunRequest request,
         std::function<void(RunEnd)> done) {
  std::make_shared<Run>(io, children, std::move(request), std::move(done))->start();
}

}  // namespace sonicorn::process
