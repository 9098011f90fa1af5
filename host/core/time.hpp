#pragma once

#include <chrono>

namespace sonicorn::core {

// As a number for people, of any unit.
constexpr double seconds(std::chrono::nanoseconds time) {
  return std::chrono::duration<double>(time).count();
}

}  // namespace sonicorn::core
