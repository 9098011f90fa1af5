#pragma once

#include <exception>
#include <string>
#include <string_view>

#include "app/call_context.hpp"

namespace sonicorn::app {

// Tells the exception that is being handled as the error of the call; inside a catch block only.
[[gnu::cold, gnu::noinline]] inline std::int32_t error_of_exception(CallContext& context) {
  try {
    throw;
  } catch (const std::exception& error) {
    const std::string text = std::string("it threw: ") + error.what();
    context.set_error(&context, text.data(), text.size());
  } catch (...) {
    constexpr std::string_view kText = "it threw something that is no std::exception";
    context.set_error(&context, kText.data(), kText.size());
  }
  return SONICORN_ERROR;
}

// Runs one call into an app and turns an exception that leaves it into an error result.
template <class Call>
inline std::int32_t guarded(CallContext& context, const Call& call) {
  try {
    return call();
  } catch (...) {
    return error_of_exception(context);
  }
}

}  // namespace sonicorn::app
