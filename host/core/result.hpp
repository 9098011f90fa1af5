#pragma once

#include <boost/system/result.hpp>
#include <stdexcept>

#include "core/error.hpp"

namespace sonicorn::core {

// Reading the value of a failed result is a bug of the reader, so it throws.
[[noreturn]] inline void throw_exception_from_error(const Error& error,
                                                    const boost::source_location&) {
  throw std::logic_error("value() of a failed result: " + error.message);
}

// A value, or the Error that prevented it.
template <class T>
using Result = boost::system::result<T, Error>;

}  // namespace sonicorn::core
