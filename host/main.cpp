#include "cli/run.hpp"
#include "core/crash.hpp"

int main(int argc, char** argv) {
  const int status = sonicorn::cli::run(argc, argv);
  sonicorn::core::expect_exit();
  return status;
}
