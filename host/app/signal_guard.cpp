#include "app/signal_guard.hpp"

#include <fmt/format.h>
#include <pthread.h>
#include <sonicorn/context.h>

#include <cstring>
#include <mutex>

namespace sonicorn::app {
namespace {

struct Owned {
  int signal;
  bool blocked;
  struct sigaction action;
};

struct State {
  std::mutex mutex;
  std::vector<Owned> owned;
};

State& state() {
  static auto* const only = new State();
  return *only;
}

// Handler and disposition share one member of a union, whichever way they were set.
void (*handler_of(const struct sigaction& action))(int) {
  return action.sa_handler;  // NOLINT(cppcoreguidelines-pro-type-union-access)
}

Intrusion::Kind kind_of(const struct sigaction& action) {
  if (handler_of(action) == SIG_IGN) return Intrusion::Kind::ignored;
  if (handler_of(action) == SIG_DFL) return Intrusion::Kind::defaulted;
  return Intrusion::Kind::handler;
}

}  // namespace

void own_signals(std::span<const int> blocked, std::span<const int> open) {
  const std::lock_guard lock(state().mutex);
  state().owned.clear();
  const auto own = [](int signal, bool is_blocked) {
    Owned owned{signal, is_blocked, {}};
    if (::sigaction(signal, nullptr, &owned.action) == 0) state().owned.push_back(owned);
  };
  for (const int signal : blocked) own(signal, true);
  for (const int signal : open) own(signal, false);
}

std::vector<Intrusion> put_signals_right() {
  std::vector<Intrusion> found;
  const std::lock_guard lock(state().mutex);
  sigset_t mask;
  if (::pthread_sigmask(SIG_SETMASK, nullptr, &mask) != 0) return found;
  bool mask_changed = false;
  for (const Owned& owned : state().owned) {
    struct sigaction now {};
    if (::sigaction(owned.signal, nullptr, &now) == 0 &&
        handler_of(now) != handler_of(owned.action)) {
      ::sigaction(owned.signal, &owned.action, nullptr);
      found.push_back({owned.signal, kind_of(now)});
    }
    const bool is_blocked = ::sigismember(&mask, owned.signal) == 1;
    if (is_blocked == owned.blocked) continue;
    mask_changed = true;
    owned.blocked ? ::sigaddset(&mask, owned.signal) : ::sigdelset(&mask, owned.signal);
    found.push_back(
        {owned.signal, is_blocked ? Intrusion::Kind::blocked : Intrusion::Kind::unblocked});
  }
  if (mask_changed) ::pthread_sigmask(SIG_SETMASK, &mask, nullptr);
  return found;
}

std::string describe(const Intrusion& intrusion) {
  const std::string name = signal_name(intrusion.signal);
  switch (intrusion.kind) {
    case Intrusion::Kind::handler:
      return "installed a handler for " + name;
    case Intrusion::Kind::ignored:
      return "had " + name + " ignored";
    case Intrusion::Kind::defaulted:
      return "set " + name + " back to its default";
    case Intrusion::Kind::blocked:
      return "blocked " + name;
    case Intrusion::Kind::unblocked:
      return "unblocked " + name;
  }
  return "changed " + name;
}

std::string signal_name(int number) {
  const char* const name = ::sigabbrev_np(number);
  return name != nullptr ? std::string("SIG") + name : fmt::format("signal {}", number);
}

sigset_t set_of(std::span<const int> signals) {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : signals) sigaddset(&set, number);
  return set;
}

std::uint32_t stop_reason_of(int number) {
  switch (number) {
    case SIGINT:
      return SONICORN_REASON_INT;
    case SIGQUIT:
      return SONICORN_REASON_QUIT;
    default:
      return SONICORN_REASON_TERM;
  }
}

}  // namespace sonicorn::app
