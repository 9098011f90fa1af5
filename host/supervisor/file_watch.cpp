#include "supervisor/file_watch.hpp"

#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <system_error>
#include <utility>

#include "core/log.hpp"

namespace sonicorn::supervisor {

namespace fs = std::filesystem;

namespace {

constexpr std::uint32_t kEvents = IN_MODIFY | IN_CLOSE_WRITE | IN_CREATE | IN_MOVED_TO | IN_ATTRIB |
                                  IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF;
constexpr int kMostLooks = 10;
constexpr std::chrono::milliseconds kMissing{
    1'000};  // between tries to watch a folder that is gone

std::string content_of(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

// Where changes of the file are seen: its folder, and that of what a link stands for.
std::vector<fs::path> folders_of(const fs::path& file) {
  std::error_code error;
  const fs::path whole = fs::absolute(file, error);
  std::vector<fs::path> folders{whole.parent_path()};
  const fs::path real = fs::canonical(whole, error);
  if (!error && real.parent_path() != folders.front()) folders.push_back(real.parent_path());
  return folders;
}

}  // namespace

FileWatch::FileWatch(boost::asio::io_context& io, std::function<void(const fs::path&)> changed,
                     std::function<bool(const std::string&)> is_complete,
                     std::chrono::milliseconds quiet)
    : io_(io),
      changed_(std::move(changed)),
      is_complete_(std::move(is_complete)),
      quiet_(quiet),
      events_(io),
      timer_(io) {}

void FileWatch::watch(const std::vector<Watched>& files) {
  if (!events_.is_open()) {
    const int events = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (events < 0) {
      return core::log::error("files cannot be watched ({}); raise fs.inotify.max_user_instances",
                              std::generic_category().message(errno));
    }
    events_.assign(events);
    wait_for_events();
  }
  std::map<fs::path, File> before = std::exchange(files_, {});
  bool any_new = false;
  for (const auto& [file, copy] : files) {
    const auto known = before.find(file);
    if (known != before.end()) {
      files_.insert(*known);
    } else {
      // It may have changed before it was watched.
      files_[file] = {.told = std::hash<std::string>()(content_of(copy)), .due = true};
      any_new = true;
    }
  }
  add_watches();
  if (any_new) look_later();
}

void FileWatch::stop() {
  boost::system::error_code ignored;
  events_.close(ignored);
  timer_.cancel();
}

void FileWatch::add_watches() {
  for (const auto& [file, state] : files_) {
    for (const fs::path& folder : folders_of(file)) {
      int& watch = folders_[folder];
      if (watch > 0) continue;
      watch = ::inotify_add_watch(events_.native_handle(), folder.c_str(), kEvents);
    }
  }
}

void FileWatch::wait_for_events() {
  events_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                     [this](const boost::system::error_code& error) {
                       if (error) return;
                       read_events();
                       wait_for_events();
                     });
}

void FileWatch::read_events() {
  alignas(inotify_event) std::array<char, 16 * 1024> buffer;
  for (;;) {
    const ssize_t size = ::read(events_.native_handle(), buffer.data(), buffer.size());
    if (size <= 0) break;
    for (ssize_t at = 0; at < size;) {
      const auto* const event = reinterpret_cast<const inotify_event*>(buffer.data() + at);
      at += static_cast<ssize_t>(sizeof(inotify_event) + event->len);
      if ((event->mask & (IN_IGNORED | IN_DELETE_SELF | IN_MOVE_SELF)) == 0) continue;
      for (auto& [folder, watch] : folders_) {
        if (watch == event->wd) watch = 0;
      }
    }
  }
  // Which file an event is about may be hidden behind a link, so all are looked at.
  for (auto& [file, state] : files_) state.due = true;
  look_later();
}

void FileWatch::look_later() {
  timer_.expires_after(quiet_);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) look();
  });
}

void FileWatch::look() {
  bool again = false;
  std::vector<fs::path> changed;
  for (auto& [file, state] : files_) {
    if (!state.due) continue;
    const std::string content = content_of(file);
    const std::size_t now = std::hash<std::string>()(content);
    const bool is_same = now == std::exchange(state.seen, now);
    if (now == state.told) {
      state.due = false;
      state.looks = 0;
      continue;
    }
    state.looks = is_same ? state.looks + 1 : 0;
    // One more look shows that nobody is writing it.
    if (!content.empty() && is_same && (is_complete_(content) || state.looks >= kMostLooks)) {
      state.told = now;
      state.due = false;
      state.looks = 0;
      changed.push_back(file);
    } else if (!content.empty()) {
      again = true;
    }
  }
  add_watches();
  bool missing = false;
  for (const auto& [folder, watch] : folders_) missing = missing || watch <= 0;
  if (again) {
    look_later();
  } else if (missing) {
    for (auto& [file, state] : files_) state.due = true;
    timer_.expires_after(kMissing);
    timer_.async_wait([this](const boost::system::error_code& error) {
      if (!error) look();
    });
  }
  for (const fs::path& file : changed) changed_(file);
}

}  // namespace sonicorn::supervisor
