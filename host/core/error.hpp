#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace sonicorn::core {

// Whose fault an error is.
enum class Origin : std::uint8_t {
  client,  // who sent the request
  app,     // the shared object
  host,    // this server, its configuration, or the machine under it
};

// An expected failure. The message says what happened, to what, and what to do; it is one sentence
// or two, without a line break.
struct Error {
  Error() = default;
  // Three arguments or none: what converts to an error by itself would make results ambiguous.
  Error(std::string_view stable_id, Origin whose, std::string text)
      : id(stable_id), origin(whose), message(std::move(text)) {}

  std::string_view id;  // stable, for machines: "app.abi_mismatch"; a literal
  Origin origin = Origin::host;
  std::string message;
};

inline Error host_error(std::string_view id, std::string message) {
  return {id, Origin::host, std::move(message)};
}

inline Error app_error(std::string_view id, std::string message) {
  return {id, Origin::app, std::move(message)};
}

}  // namespace sonicorn::core
