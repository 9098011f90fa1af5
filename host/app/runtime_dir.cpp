#include "app/runtime_dir.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>
#include <system_error>
#include <utility>

namespace sonicorn::app {
namespace {

namespace fs = std::filesystem;

std::string own_prefix() { return fmt::format("sonicorn-{}-", ::geteuid()); }

core::Error unusable(const fs::path& parent, std::string_view why) {
  return core::host_error(
      "host.runtime_dir",
      fmt::format(
          "{}: no folder for private copies of apps can be made there: {}; set runtime_dir (or "
          "TMPDIR) to a folder that this user may write to and that is not mounted noexec",
          parent.string(), why));
}

core::Error unusable(const fs::path& parent, int error) {
  return unusable(parent, std::generic_category().message(error));
}

fs::path default_parent() {
  const char* const wanted = std::getenv("TMPDIR");
  return wanted != nullptr && *wanted != '\0' ? fs::path(wanted) : fs::path("/tmp");
}

int open_folder(const fs::path& path) {
  return ::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

// Whether the descriptor, once locked, still is the folder at `path`: another process may have
// swept it away between the making and the locking.
bool is_still(const fs::path& path, int folder) {
  struct stat there {};
  struct stat open {};
  return ::lstat(path.c_str(), &there) == 0 && ::fstat(folder, &open) == 0 &&
         there.st_dev == open.st_dev && there.st_ino == open.st_ino;
}

bool try_lock(int folder) { return ::flock(folder, LOCK_EX | LOCK_NB) == 0; }

// Only what carries the mark is this program's to delete, whatever its name.
constexpr const char* kMark = ".sonicorn";

bool mark(int folder) {
  const int file = ::openat(folder, kMark, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0400);
  if (file >= 0) ::close(file);
  return file >= 0;
}

bool is_marked(int folder) {
  struct stat status {};
  return ::fstatat(folder, kMark, &status, AT_SYMLINK_NOFOLLOW) == 0;
}

void remove_if_abandoned(const fs::path& path) {
  const int folder = open_folder(path);
  if (folder < 0) return;
  struct stat status {};
  if (::fstat(folder, &status) == 0 && status.st_uid == ::geteuid() && is_marked(folder) &&
      try_lock(folder) && is_still(path, folder)) {
    std::error_code ignored;
    fs::remove_all(path, ignored);
  }
  ::close(folder);
}

constexpr std::string_view kSuffix = "XXXXXX";  // what mkdtemp fills in

void sweep(const fs::path& parent) {
  const std::string prefix = own_prefix();
  std::error_code error;
  for (fs::directory_iterator entry(parent, error), end; !error && entry != end;
       entry.increment(error)) {
    const std::string name = entry->path().filename().string();
    if (name.starts_with(prefix) && name.size() == prefix.size() + kSuffix.size()) {
      remove_if_abandoned(entry->path());
    }
  }
}

}  // namespace

core::Result<RuntimeDir> RuntimeDir::create(const fs::path& wanted_parent) {
  std::error_code error;
  const fs::path parent =
      fs::absolute(wanted_parent.empty() ? default_parent() : wanted_parent, error);
  if (error) return unusable(wanted_parent, error.value());
  struct statvfs mount {};
  if (::statvfs(parent.c_str(), &mount) != 0) return unusable(parent, errno);
  if ((mount.f_flag & ST_NOEXEC) != 0) return unusable(parent, "its file system is mounted noexec");
  sweep(parent);
  constexpr int kAttempts = 100;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    std::string name = (parent / (own_prefix() + std::string(kSuffix))).string();
    if (::mkdtemp(name.data()) == nullptr) return unusable(parent, errno);
    const int folder = open_folder(name);
    if (folder >= 0 && try_lock(folder) && is_still(name, folder) && mark(folder)) {
      return RuntimeDir(name, folder);
    }
    const int cause = errno;
    if (folder < 0 && cause != ENOENT) {
      ::rmdir(name.c_str());
      return unusable(parent, cause);
    }
    if (folder >= 0) ::close(folder);
  }
  return unusable(parent, "other processes remove it again and again");
}

RuntimeDir::RuntimeDir(fs::path path, int lock) : path_(std::move(path)), lock_(lock) {}

RuntimeDir::RuntimeDir(RuntimeDir&& other) noexcept
    : path_(std::move(other.path_)), lock_(std::exchange(other.lock_, -1)) {}

RuntimeDir& RuntimeDir::operator=(RuntimeDir&& other) noexcept {
  if (this != &other) {
    remove();
    path_ = std::move(other.path_);
    lock_ = std::exchange(other.lock_, -1);
  }
  return *this;
}

RuntimeDir::~RuntimeDir() { remove(); }

void RuntimeDir::remove() noexcept {
  if (lock_ < 0) return;
  std::error_code ignored;
  fs::remove_all(path_, ignored);
  ::close(std::exchange(lock_, -1));
}

}  // namespace sonicorn::app
