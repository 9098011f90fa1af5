#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "app/inspection.hpp"

namespace sonicorn::conformance {

// One thing that is tried with an app, in a child process of its own.
struct Scenario {
  enum class Kind : std::uint8_t {
    load,      // load and unload
    idle,      // start, shutdown
    request,   // start, a request, shutdown
    stopping,  // drain while requests are answered
    cycles,    // load, start, a request, shutdown, unload, many times
  };

  std::string name;
  Kind kind = Kind::load;
  unsigned runs = 1;                 // of cycles
  std::vector<std::string> without;  // capabilities that are withheld
};

// All scenarios of an app, in the order in which they are run.
struct Plan {
  std::vector<Scenario> scenarios;
  std::string left_out;  // a sentence about what is too much to be run; empty: nothing
};

// How many of the capabilities that an app uses are withheld in every combination. With more of
// them, each alone, each pair, and all.
inline constexpr std::size_t kEverySubset = 10;

// What is enough to see a leak of each run.
inline constexpr unsigned kFewRuns = 3;

// `offered` is what the server delivers; `runs` is how many cycles there are with all of that.
// Where something is withheld there are a few.
Plan plan_for(const app::Inspection& inspection, const app::Offer& offered, unsigned runs);

}  // namespace sonicorn::conformance
