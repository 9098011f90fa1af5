#include <chrono>

#include "cli/run.hpp"
#include "core/crash.hpp"
#include "core/log.hpp"

namespace {

// For a slow reader of the log to take what is left. One that is stuck is not waited for any
// longer.
constexpr std::chrono::milliseconds kLastLines{500};

}  // namespace

int main(int argc, char** argv) {
  const int status = sonicorn::cli::run(argc, argv);
  sonicorn::core::log::flush(kLastLines);
  sonicorn::core::expect_exit();
  return status;
}
