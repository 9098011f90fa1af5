#include "supervisor/file_watch.hpp"

#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
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
constexpr int kMostLinks = 40;  // as the kernel follows
// Between tries to watch a folder that is gone.
constexpr std::chrono::milliseconds kMissing{1'000};

std::string content_of(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

// Where it is seen that the file becomes another one: the entry of the file itself, and each link
// on the way to it.
std::vector<fs::path> entries_on_the_way(const fs::path& file) {
  std::error_code error;
  std::vector<fs::path> entries;
  fs::path rest = fs::absolute(file, error).lexically_normal();
  for (int links = 0; links <= kMostLinks; ++links) {
    fs::path walked;
    fs::path next;
    for (auto part = rest.begin(); part != rest.end(); ++part) {
      walked /= *part;
      if (!next.empty()) {
        next /= *part;
      } else if (fs::is_symlink(walked, error)) {
        entries.push_back(walked);
        next = walked.parent_path() / fs::read_symlink(walked, error);
      }
    }
    if (next.empty()) break;
    rest = next.lexically_normal();
  }
  entries.push_back(rest);
  return entries;
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
  if (any_new) look_later(quiet_);
}

void FileWatch::stop() {
  boost::system::error_code ignored;
  events_.close(ignored);
  timer_.cancel();
  will_look_ = false;
  files_.clear();
  folders_.clear();
}

void FileWatch::add_watches() {
  std::map<fs::path, Folder> wanted;
  for (const auto& [file, state] : files_) {
    for (const fs::path& entry : entries_on_the_way(file)) {
      wanted[entry.parent_path()].entries.emplace(entry.filename(), file);
    }
  }
  for (auto& [path, folder] : wanted) {
    const auto known = folders_.find(path);
    if (known != folders_.end()) folder.watch = known->second.watch;
    if (folder.watch > 0) continue;
    folder.watch = ::inotify_add_watch(events_.native_handle(), path.c_str(), kEvents);
  }
  folders_.swap(wanted);
  for (const auto& before : wanted) {
    const int watch = before.second.watch;
    const bool stays = std::any_of(folders_.begin(), folders_.end(), [watch](const auto& each) {
      return each.second.watch == watch;
    });
    if (watch > 0 && !stays) ::inotify_rm_watch(events_.native_handle(), watch);
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
      note_event(*event);
    }
  }
  const bool any_due =
      std::any_of(files_.begin(), files_.end(), [](const auto& each) { return each.second.due; });
  if (any_due) look_later(quiet_);
}

void FileWatch::note_event(const inotify_event& event) {
  if ((event.mask & IN_Q_OVERFLOW) != 0) {
    for (auto& [file, state] : files_) state.due = true;
  }
  const std::string name = event.len > 0 ? event.name : "";
  for (auto& [path, folder] : folders_) {
    if (folder.watch != event.wd) continue;
    if ((event.mask & (IN_IGNORED | IN_DELETE_SELF | IN_MOVE_SELF)) != 0) folder.watch = 0;
    for (const auto& [entry, file] : folder.entries) {
      if (name.empty() || name == entry) files_[file].due = true;
    }
  }
}

// Who is about to look is not put off: a file that is touched all the time is looked at as well.
void FileWatch::look_later(std::chrono::milliseconds wait) {
  if (std::exchange(will_look_, true)) return;
  timer_.expires_after(wait);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    will_look_ = false;
    look();
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
  for (const auto& [path, folder] : folders_) missing = missing || folder.watch <= 0;
  if (again) {
    look_later(quiet_);
  } else if (missing) {
    for (auto& [file, state] : files_) state.due = true;
    look_later(kMissing);
  }
  for (const fs::path& file : changed) changed_(file);
}

}  // namespace sonicorn::supervisor
