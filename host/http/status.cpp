#include "http/status.hpp"

#include <boost/beast/http/status.hpp>
#include <ostream>

namespace sonicorn::http {

std::string_view reason_phrase(unsigned status) {
  const auto known = boost::beast::http::int_to_status(status);
  if (known == boost::beast::http::status::unknown) return "Unknown";
  const auto text = boost::beast::http::obsolete_reason(known);
  return {text.data(), text.size()};
}

}  // namespace sonicorn::http
