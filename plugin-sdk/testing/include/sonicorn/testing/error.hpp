// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdexcept>

namespace sonicorn::testing {

// The host refuses an app before any of its code runs, as a server would: what() is a sentence for
// each reason, a line each.
class Refused : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The app broke a rule of the ABI: it called a function of the server on a wrong thread, let an
// exception out, did not end a background thread, ... Thrown at the end of what the test asked for.
class BrokenRule : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

// The test asks for what no server would do, such as a request before start.
class Misuse : public std::logic_error {
 public:
  using std::logic_error::logic_error;
};

}  // namespace sonicorn::testing
