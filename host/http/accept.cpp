#include "http/accept.hpp"

#include <algorithm>

#include "http/characters.hpp"

namespace sonicorn::http {
namespace {

constexpr std::uint32_t kFullQuality = 1000;

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Takes what is before the first `mark`, and the mark.
std::string_view take_until(std::string_view& text, char mark) {
  const auto at = text.find(mark);
  const std::string_view taken = text.substr(0, at);
  text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
  return trimmed(taken);
}

// qvalue = ( "0" [ "." 0*3DIGIT ] ) / ( "1" [ "." 0*3("0") ] ); what is none counts as no wish.
std::uint32_t parse_quality(std::string_view text) {
  if (text.empty() || (text[0] != '0' && text[0] != '1')) return kFullQuality;
  std::uint32_t quality = text[0] == '1' ? kFullQuality : 0;
  std::uint32_t worth = 100;
  for (std::size_t i = 2; i < text.size() && worth > 0; ++i, worth /= 10) {
    if (text[i] < '0' || text[i] > '9') return kFullQuality;
    quality += static_cast<std::uint32_t>(text[i] - '0') * worth;
  }
  return std::min(quality, kFullQuality);
}

std::uint32_t quality_of(std::string_view parameters) {
  while (!parameters.empty()) {
    std::string_view value = take_until(parameters, ';');
    if (is_named(take_until(value, '='), "q")) return parse_quality(trimmed(value));
  }
  return kFullQuality;
}

Acceptance::Named match(std::string_view range, std::string_view lower_type) {
  using Named = Acceptance::Named;
  if (range == "*/*") return Named::by_any;
  if (is_named(range, lower_type)) return Named::in_full;
  const std::string_view type = lower_type.substr(0, lower_type.find('/') + 1);
  const bool is_family = range.ends_with('*') && is_named(range.substr(0, range.size() - 1), type);
  return is_family ? Named::by_its_type : Named::nowhere;
}

}  // namespace

Acceptance acceptance_of(const Request& request, std::string_view lower_type) {
  Acceptance found;
  for (const sonicorn_field& each : request.fields) {
    if (!is_named({each.name.data, each.name.size}, "accept")) continue;
    std::string_view ranges(each.value.data, each.value.size);
    while (!ranges.empty()) {
      std::string_view parameters = take_until(ranges, ',');
      const Acceptance::Named named = match(take_until(parameters, ';'), lower_type);
      if (named > found.named) found = {quality_of(parameters), named};
    }
  }
  return found;
}

}  // namespace sonicorn::http
