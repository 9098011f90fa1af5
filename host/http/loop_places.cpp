#include <algorithm>

#include "http/loop.hpp"

// How a loop makes room: who is closed for somebody new, and who waits for a place.
namespace sonicorn::http {
namespace {

constexpr std::chrono::milliseconds kQueueTimeWhenFull = Loop::kQueueTime / 3;
constexpr int kLookedAtToShed = 32;

}  // namespace

void Loop::queue(int fd, std::string_view remote) {
  if (Connection* const connection = make(fd, remote)) connection->queue();
}

void Loop::admit() {
  List& queued = list(Phase::queued);
  while (!queued.empty() && (places_.has_vacant() || close_idle())) queued.front().admit();
}

bool Loop::close_idle() {
  List& idle = list(Phase::idle);
  int looked_at = 0;
  const auto found = std::find_if(idle.begin(), idle.end(), [&](const Connection& each) {
    return ++looked_at <= kLookedAtToShed && each.can_be_shed();
  });
  const bool sheds = found != idle.end();
  if (sheds) found->close();
  return sheds;
}

bool Loop::shed_idle() {
  read_clock();
  const bool sheds = close_idle();
  bury();
  note_idle();
  return sheds;
}

bool Loop::somebody_may_ask() {
  const List& idle = list(Phase::idle);
  int looked_at = 0;
  for (const Connection& each : idle) {
    if (++looked_at > kLookedAtToShed) break;
    if (each.has_yet_to_ask()) return true;
  }
  return false;
}

bool Loop::shed_extra(bool at_once) {
  read_clock();
  if (has_queued()) {
    Connection& first = list(Phase::queued).front();
    const auto waited = now_ - first.since();
    if (at_once || waited >= (somebody_may_ask() ? kQueueTimeAtMost : kQueueTimeWhenFull)) {
      first.refuse_at_once();
    }
  }
  List& lingering = list(Phase::lingering);
  if (lingering.empty()) return false;
  lingering.front().close();
  bury();
  return true;
}

}  // namespace sonicorn::http
