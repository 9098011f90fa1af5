#include "app/capabilities.hpp"

#include <sonicorn/capabilities.h>

#include <algorithm>
#include <array>

namespace sonicorn::app {
namespace {

constexpr std::array<std::string_view, 13> kServer = {SONICORN_CAPABILITY_SHUTDOWN,
                                                      SONICORN_CAPABILITY_DRAIN,
                                                      SONICORN_CAPABILITY_RELOAD,
                                                      SONICORN_CAPABILITY_STATE,
                                                      SONICORN_CAPABILITY_REQUEST_EVENTS,
                                                      SONICORN_CAPABILITY_EVENTS,
                                                      SONICORN_CAPABILITY_LOG,
                                                      SONICORN_CAPABILITY_METRICS,
                                                      SONICORN_CAPABILITY_TIMER,
                                                      SONICORN_CAPABILITY_BACKGROUND,
                                                      SONICORN_CAPABILITY_BUS,
                                                      SONICORN_CAPABILITY_CONTROL,
                                                      SONICORN_CAPABILITY_THREAD_CHECK};

constexpr std::array<std::string_view, 8> kCall = {
    SONICORN_CAPABILITY_SHUTDOWN,       SONICORN_CAPABILITY_DRAIN,
    SONICORN_CAPABILITY_REQUEST_EVENTS, SONICORN_CAPABILITY_LOG,
    SONICORN_CAPABILITY_METRICS,        SONICORN_CAPABILITY_TIMER,
    SONICORN_CAPABILITY_BACKGROUND,     SONICORN_CAPABILITY_THREAD_CHECK};

bool contains(const std::vector<std::string_view>& ids, std::string_view id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

}  // namespace

Offer Offer::of_server() { return Offer(kServer); }

Offer Offer::of_call() { return Offer(kCall); }

bool Offer::withhold(std::string_view name) {
  const auto is_meant = [name](std::string_view id) {
    return id == name || id.substr(0, id.find('/')) == name;
  };
  const auto kept = std::stable_partition(ids_.begin(), ids_.end(),
                                          [&](std::string_view id) { return !is_meant(id); });
  const bool found =
      kept != ids_.end() || std::any_of(withheld_.begin(), withheld_.end(), is_meant);
  withheld_.insert(withheld_.end(), kept, ids_.end());
  ids_.erase(kept, ids_.end());
  return found;
}

bool Offer::has(std::string_view id) const { return contains(ids_, id); }

bool Offer::is_withheld(std::string_view id) const { return contains(withheld_, id); }

bool well_formed_capability(std::string_view id) {
  const auto slash = id.find('/');
  if (slash == std::string_view::npos || slash == 0 || slash + 1 == id.size()) return false;
  const std::string_view name = id.substr(0, slash);
  const std::string_view revision = id.substr(slash + 1);
  const bool name_ok = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '-' || c == '.';
  });
  const bool revision_ok =
      std::all_of(revision.begin(), revision.end(), [](char c) { return c >= '0' && c <= '9'; });
  return name_ok && revision_ok && revision.size() <= 9 && revision.front() != '0' &&
         name.front() != '.' && name.back() != '.';
}

}  // namespace sonicorn::app
