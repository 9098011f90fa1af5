#define DOCTEST_CONFIG_IMPLEMENT
#include <doctest/doctest.h>

#include <cstdlib>

#include "support/files.hpp"

int main(int argc, char** argv) {
  // What servers keep beside their sockets is none of the machine's own.
  const support::TemporaryFolder runtime;
  ::setenv("RUNTIME_DIRECTORY", runtime.path().c_str(), 1);
  return doctest::Context(argc, argv).run();
}
