#pragma once

#include "conformance/subject.hpp"

namespace sonicorn::conformance {

// Loads, starts, asks, stops and unloads the app `task.scenario.runs` times, and reports what it
// leaves behind in this process: threads, descriptors, signals, memory, its code. Ends early where
// going on would crash. Blocks; nothing else may be under way in the process.
void run_cycles(const Subject::Material& material);

}  // namespace sonicorn::conformance
