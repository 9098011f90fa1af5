// SPDX-License-Identifier: Apache-2.0
#include <sonicorn/cpp/request.hpp>
#include <sonicorn/testing/request.hpp>

namespace sonicorn::testing {

std::optional<std::string> Response::header(std::string_view name) const {
  for (const Field& field : fields) {
    if (sonicorn::detail::equal_ignoring_case(field.name, name)) return field.value;
  }
  return std::nullopt;
}

std::ostream& operator<<(std::ostream& out, const Response& response) {
  out << response.status << ' ' << response.content_type << ", " << response.body.size()
      << " bytes";
  if (!response.error.empty()) out << " (" << response.error << ")";
  return out;
}

}  // namespace sonicorn::testing
