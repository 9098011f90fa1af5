#pragma once

#include <string_view>

#include "http/request.hpp"

namespace sonicorn::http {

// Reads from a head that is refused, or never came whole, what the answer has to know of it:
// whether only the answer's head is wanted, and the Accept fields. `lines` are its first lines,
// each with its LF, and the first may be empty; what follows the last LF does not count, so that it
// does not matter how much more had come; but all of it becomes `head`, for the access log.
// `request` is made anew, and its views point into `lines`.
void read_refused_head(std::string_view lines, Request& request);

}  // namespace sonicorn::http
