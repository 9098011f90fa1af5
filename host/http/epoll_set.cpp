#include "http/epoll_set.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <system_error>

namespace sonicorn::http {
namespace {

int control(int set, int operation, int fd, std::uint32_t events, PollTarget* target) {
  epoll_event event{};
  event.events = events;
  event.data.ptr = target;
  return ::epoll_ctl(set, operation, fd, &event);
}

}  // namespace

EpollSet::EpollSet() : fd_(::epoll_create1(EPOLL_CLOEXEC)) {
  if (fd_ < 0) throw std::system_error(errno, std::generic_category(), "epoll_create1");
  // So that there is room also when there is no memory.
  at_end_.reserve(kBatch);
}

EpollSet::~EpollSet() { ::close(fd_); }

bool EpollSet::add(int fd, std::uint32_t events, PollTarget& target) {
  return control(fd_, EPOLL_CTL_ADD, fd, events, &target) == 0;
}

void EpollSet::change(int fd, std::uint32_t events, PollTarget& target) {
  control(fd_, EPOLL_CTL_MOD, fd, events, &target);
}

void EpollSet::remove(int fd) { control(fd_, EPOLL_CTL_DEL, fd, 0, nullptr); }

int EpollSet::wait(int milliseconds) {
  return std::max(0, ::epoll_wait(fd_, events_.data(), kBatch, milliseconds));
}

void EpollSet::tell(int count) {
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events_[static_cast<std::size_t>(i)];
    static_cast<PollTarget*>(event.data.ptr)->on_ready(event.events);
  }
  if (at_end_.empty()) return;
  for (PollTarget* const target : at_end_) target->on_told();
  at_end_.clear();
}

}  // namespace sonicorn::http
