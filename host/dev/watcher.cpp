#include "dev/watcher.hpp"

#include <fmt/format.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <system_error>
#include <utility>

#include "core/log.hpp"

namespace sonicorn::dev {
namespace {

namespace fs = std::filesystem;

// An editor writes a file in several steps, and a checkout writes many files.
constexpr std::chrono::milliseconds kQuiet{60};

constexpr std::uint32_t kEvents = IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM |
                                  IN_MOVED_TO | IN_ONLYDIR | IN_EXCL_UNLINK;

// What editors, logs and databases write; an app that does so would be built for each request.
constexpr std::string_view kIgnoredEnds[] = {"~",    ".swp",     ".swx",    ".tmp", ".bak",
                                             ".log", ".db",      ".sqlite", ".pid", ".sock",
                                             "-wal", "-journal", "-shm"};

core::Error failure(const fs::path& path, int error) {
  const char* const remedy = error == ENOSPC ? "raise it: sysctl fs.inotify.max_user_watches=524288"
                             : error == EMFILE
                                 ? "raise it: sysctl fs.inotify.max_user_instances=512"
                                 : "name a folder that you may read";
  return core::host_error(
      "host.watch", fmt::format("{}: its changes cannot be watched ({}); {}", path.string(),
                                error == ENOSPC || error == EMFILE ? "the system's limit is reached"
                                                                   : std::strerror(error),
                                remedy));
}

}  // namespace

bool is_ignored(std::string_view name, bool is_folder) {
  if (name.starts_with('.')) return true;
  if (is_folder) {
    return name == "build" || name.starts_with("build-") || name.starts_with("cmake-build-") ||
           name == "node_modules";
  }
  // "4913" is what Vim makes to see whether it may.
  if (name == "4913" || (name.starts_with('#') && name.ends_with('#'))) return true;
  return std::any_of(std::begin(kIgnoredEnds), std::end(kIgnoredEnds),
                     [name](std::string_view end) { return name.ends_with(end); });
}

Watcher::Watcher(boost::asio::io_context& io, fs::path folder, fs::path build_folder,
                 OnChange on_change)
    : events_(io),
      quiet_(io),
      folder_(std::move(folder)),
      build_folder_(std::move(build_folder)),
      on_change_(std::move(on_change)) {}

core::Result<void> Watcher::start() {
  const int descriptor = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (descriptor < 0) return failure(folder_, errno);
  events_.assign(descriptor);
  if (auto added = add(folder_); !added) return added;
  await_events();
  return {};
}

// The folder is watched before it is read, so that nothing that comes between is missed.
core::Result<void> Watcher::add(const fs::path& folder) {
  const int watch = ::inotify_add_watch(events_.native_handle(), folder.c_str(), kEvents);
  if (watch < 0) {
    // One that has gone again tells of that by itself.
    if (errno == ENOENT && folder != folder_) return {};
    return failure(folder, errno);
  }
  watched_[watch] = folder;
  std::error_code error;
  for (fs::directory_iterator each(folder, error), end; !error && each != end;
       each.increment(error)) {
    std::error_code unknown;
    if (!each->is_directory(unknown) || each->is_symlink(unknown)) continue;
    if (is_ignored(each->path().filename().native(), true) || is_build(each->path())) continue;
    if (auto added = add(each->path()); !added) return added;
  }
  return {};
}

bool Watcher::is_build(const fs::path& folder) const {
  std::error_code ignored;
  return folder == build_folder_ || fs::exists(folder / "CMakeCache.txt", ignored);
}

void Watcher::await_events() {
  events_.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                     [this](boost::system::error_code error) {
                       if (error) return;
                       while (read_events()) {
                       }
                       await_events();
                     });
}

// False when there are no more.
bool Watcher::read_events() {
  alignas(inotify_event) std::array<char, 16 * 1024> bytes;
  const ssize_t got = ::read(events_.native_handle(), bytes.data(), bytes.size());
  if (got <= 0) return false;
  for (std::size_t at = 0; at < static_cast<std::size_t>(got);) {
    inotify_event event;
    std::memcpy(&event, bytes.data() + at, sizeof event);
    // The name is filled up with zero bytes.
    take(event.wd, event.mask, event.len == 0 ? "" : bytes.data() + at + sizeof event);
    at += sizeof event + event.len;
  }
  return true;
}

void Watcher::take(int watch, std::uint32_t mask, std::string_view name) {
  if ((mask & IN_Q_OVERFLOW) != 0) return note(folder_);
  const auto found = watched_.find(watch);
  if (found == watched_.end()) return;
  if ((mask & IN_IGNORED) != 0) {
    watched_.erase(found);
    return;
  }
  const bool is_folder = (mask & IN_ISDIR) != 0;
  const fs::path file = found->second / name;
  if (is_ignored(name, is_folder) || (is_folder && is_build(file))) return;
  // A file that was just made is told of when it is written.
  std::error_code ignored;
  if (!is_folder && (mask & IN_CREATE) != 0 && !fs::is_symlink(file, ignored)) return;
  if (is_folder && (mask & (IN_CREATE | IN_MOVED_TO)) != 0) {
    if (auto added = add(file); !added) core::log::warning("{}", added.error().message);
  }
  note(file);
}

void Watcher::note(const fs::path& file) {
  // The last is the one that an editor meant: before it may come files of its own.
  last_change_ = file.lexically_relative(folder_);
  quiet_.expires_after(kQuiet);
  quiet_.async_wait([this](boost::system::error_code error) {
    if (!error) on_change_(last_change_);
  });
}

}  // namespace sonicorn::dev
