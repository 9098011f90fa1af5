#include <fcntl.h>
#include <unistd.h>

#include <chrono>

#include "cli/run.hpp"
#include "core/crash.hpp"
#include "core/log.hpp"

namespace {

// For a slow reader of the log to take what is left. One that is stuck is not waited for any
// longer.
constexpr std::chrono::milliseconds kLastLines{500};

// Where a standard descriptor is closed, the next file that is opened would be taken for it.
void open_standard_descriptors() {
  for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; ++fd) {
    if (::fcntl(fd, F_GETFD) < 0) static_cast<void>(::open("/dev/null", O_RDWR));
  }
}

}  // namespace

int main(int argc, char** argv) {
  open_standard_descriptors();
  const int status = sonicorn::cli::run(argc, argv);
  sonicorn::core::log::flush(kLastLines);
  sonicorn::core::expect_exit();
  return status;
}
