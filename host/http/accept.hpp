#pragma once

#include <cstdint>
#include <string_view>

#include "http/request.hpp"

namespace sonicorn::http {

// What the Accept fields of a request say of one media type (RFC 9110 12.5.1).
struct Acceptance {
  enum class Named : std::uint8_t { nowhere, by_any, by_its_type, in_full };

  std::uint32_t quality = 0;  // thousandths; 0: not acceptable, or nothing is said of it
  Named named = Named::nowhere;
};

// Of several ranges that match, the most precise one decides. `lower_type`: as "text/plain".
Acceptance acceptance_of(const Request& request, std::string_view lower_type);

}  // namespace sonicorn::http
