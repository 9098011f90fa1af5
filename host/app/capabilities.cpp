#include "app/capabilities.hpp"

#include <sonicorn/capabilities.h>
#include <sonicorn/context.h>

#include <algorithm>
#include <array>
#include <csignal>

#include "core/log.hpp"
#include "core/version.hpp"

namespace sonicorn::app {
namespace {

constexpr std::array<std::string_view, 2> kOffered = {SONICORN_CAPABILITY_SHUTDOWN,
                                                      SONICORN_CAPABILITY_LOG};

sonicorn_string view_of(std::string_view text) { return {text.data(), text.size()}; }

constexpr std::uint64_t bit(unsigned number) { return std::uint64_t{1} << number; }

core::log::Level level_of(std::uint32_t level) {
  switch (level) {
    case SONICORN_LOG_DEBUG:
      return core::log::Level::debug;
    case SONICORN_LOG_INFO:
      return core::log::Level::info;
    case SONICORN_LOG_WARNING:
      return core::log::Level::warning;
    default:
      return core::log::Level::error;
  }
}

}  // namespace

std::span<const std::string_view> offered_capabilities() { return kOffered; }

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

ServerView::ServerView(Facts facts) : sonicorn_server{}, facts_(std::move(facts)) {
  static_cast<sonicorn_server&>(*this) = {
      .size = sizeof(sonicorn_server),
      .abi_minor = SONICORN_ABI_MINOR,
      .name = SONICORN_STRING("sonicorn"),
      .version = view_of(core::kVersion),
      .app_name = view_of(facts_.app_name),
      .mount = view_of(facts_.mount),
      .settings = view_of(facts_.settings),
      .get_capability = &ServerView::get_capability_of,
  };
  shutdown_ = {
      .size = sizeof(shutdown_),
      .grace_ms = static_cast<std::uint32_t>(facts_.grace.count()),
      .signals = bit(SIGTERM) | bit(SIGINT) | bit(SIGQUIT) | bit(SIGHUP),
      .reasons = bit(SONICORN_REASON_TERM) | bit(SONICORN_REASON_INT) | bit(SONICORN_REASON_QUIT) |
                 bit(SONICORN_REASON_START_FAILED),
      .not_on = SONICORN_SHUTDOWN_NOT_ON_KILL | SONICORN_SHUTDOWN_NOT_ON_CRASH |
                SONICORN_SHUTDOWN_NOT_ON_SECOND_SIGNAL | SONICORN_SHUTDOWN_NOT_ON_STUCK_REQUEST,
      .least_ms = static_cast<std::uint32_t>(facts_.least_shutdown.count()),
  };
  log_ = {.size = sizeof(log_), .reserved = 0, .write = &ServerView::write_log};
}

const void* ServerView::get_capability_of(const sonicorn_server* server, const char* id) {
  if (server == nullptr || id == nullptr) return nullptr;
  const auto& self = *static_cast<const ServerView*>(server);
  const std::string_view wanted(id);
  if (wanted == SONICORN_CAPABILITY_SHUTDOWN) return &self.shutdown_;
  if (wanted == SONICORN_CAPABILITY_LOG) return &self.log_;
  if (!well_formed_capability(wanted)) {
    core::log::debug("app {}: asked for the capability \"{}\", which is not of the form NAME/REV",
                     self.facts_.app_name, wanted);
  }
  return nullptr;
}

void ServerView::write_log(const sonicorn_server* server, uint32_t level, const char* text,
                           uint64_t text_size) {
  const core::log::Level at = level_of(level);
  if (!core::log::enabled(at)) return;
  const auto& self = *static_cast<const ServerView*>(server);
  core::log::write(at, fmt::format("app {}: {}", self.facts_.app_name,
                                   std::string_view(text, text == nullptr ? 0 : text_size)));
}

}  // namespace sonicorn::app
