#pragma once

#include <string>

namespace sonicorn::app {

// What became of the code of a generation that has ended.
struct Unloading {
  bool gone = false;
  std::string cause;  // why it stays; empty: it is gone
};

}  // namespace sonicorn::app
