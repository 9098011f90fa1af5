#include "app/module_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include "core/descriptor.hpp"

namespace sonicorn::app {
namespace {

constexpr std::size_t kLargestFile = std::size_t{1} << 30;

// Non-blocking, because opening a FIFO would wait for its writer.
int open_for_reading(const std::filesystem::path& path) {
  return ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

core::Error unreadable(const std::filesystem::path& path, int error) {
  if (error == ENOENT || error == ENOTDIR) {
    return core::host_error(
        "app.file_missing",
        fmt::format("{}: no such file; build the app, or correct the path", path.string()));
  }
  return core::host_error(
      "app.file_unreadable",
      fmt::format("{}: cannot be read ({}); let the server's user read the file and its folder",
                  path.string(), std::generic_category().message(error)));
}

core::Result<std::size_t> size_of(int descriptor, const std::filesystem::path& path) {
  struct stat status {};
  if (::fstat(descriptor, &status) != 0) return unreadable(path, errno);
  if (!S_ISREG(status.st_mode)) {
    return core::host_error(
        "app.not_a_file",
        fmt::format("{}: is {}, not a file; name the app's .so file", path.string(),
                    S_ISDIR(status.st_mode) ? "a folder" : "a device, pipe or socket"));
  }
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size == 0) {
    return core::app_error(
        "app.file_empty", fmt::format("{}: the file is empty; build the app again", path.string()));
  }
  if (size > kLargestFile) {
    return core::app_error(
        "app.file_too_large",
        fmt::format("{}: has {} bytes and an app has at most {}; link without debug information or "
                    "strip it",
                    path.string(), size, kLargestFile));
  }
  return size;
}

std::string user_text(uid_t user) { return user == 0 ? "root" : fmt::format("user {}", user); }

// Why the file or folder is not trusted, and what makes it so: "belongs to user 7" and "chown ...".
// Empty: it is.
struct Distrust {
  std::string reason;
  std::string remedy;
};

Distrust distrust_of(const struct stat& status, const std::string& path) {
  if (status.st_uid != 0 && status.st_uid != ::geteuid()) {
    return {fmt::format("belongs to user {}", status.st_uid), fmt::format("chown root {}", path)};
  }
  if ((status.st_mode & (S_IWGRP | S_IWOTH)) == 0) return {};
  return {fmt::format("may be written to by {}",
                      (status.st_mode & S_IWOTH) != 0 ? "everybody" : "its group"),
          (status.st_mode & S_ISVTX) != 0 ? "move the app to a folder of its own"
                                          : fmt::format("chmod go-w {}", path)};
}

core::Error untrusted(std::string_view id, const std::filesystem::path& app,
                      const std::string& what, const Distrust& distrust) {
  return core::host_error(
      id,
      fmt::format("{}: {} {}, so others could bring in their code, and the server, which runs "
                  "as {}, refuses it; {}, or switch this check off with --no-check-owners "
                  "(check_owners = false)",
                  app.string(), what, distrust.reason, user_text(::geteuid()), distrust.remedy));
}

// The file is the one that is open; its folder is found by where that lies, and must hold it.
core::Result<void> check_owners(int file, const std::filesystem::path& path) {
  struct stat status {};
  if (::fstat(file, &status) != 0) return unreadable(path, errno);
  if (auto distrust = distrust_of(status, path.string()); !distrust.reason.empty()) {
    return untrusted("app.untrusted_file", path, "the file", distrust);
  }
  std::error_code error;
  const auto real = std::filesystem::read_symlink(fmt::format("/proc/self/fd/{}", file), error);
  if (error) return unreadable(path, error.value());
  const core::Descriptor folder(
      ::open(real.parent_path().c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW));
  struct stat folder_status {};
  struct stat entry {};
  if (folder.number() < 0 || ::fstat(folder.number(), &folder_status) != 0 ||
      ::fstatat(folder.number(), real.filename().c_str(), &entry, AT_SYMLINK_NOFOLLOW) != 0) {
    return unreadable(path, errno);
  }
  if (entry.st_dev != status.st_dev || entry.st_ino != status.st_ino) {
    return unreadable(path, ESTALE);
  }
  const std::string name = real.parent_path().string();
  if (auto distrust = distrust_of(folder_status, name); !distrust.reason.empty()) {
    return untrusted("app.untrusted_folder", path, fmt::format("its folder {}", name), distrust);
  }
  return {};
}

}  // namespace

core::Result<void> check_library(const std::filesystem::path& path) {
  // Who may write to the system's folders, owns the system.
  std::error_code error;
  const std::string real = std::filesystem::canonical(path, error).string();
  for (const std::string_view system : {"/usr/", "/lib/", "/lib64/"}) {
    if (!error && real.starts_with(system)) return {};
  }
  const core::Descriptor file(open_for_reading(path));
  if (file.number() < 0) return unreadable(path, errno);
  return check_owners(file.number(), path);
}

core::Result<std::string> read_module_file(const std::filesystem::path& path, Owners owners) {
  const core::Descriptor file(open_for_reading(path));
  if (file.number() < 0) return unreadable(path, errno);
  const auto size = size_of(file.number(), path);
  if (!size) return size.error();
  if (owners == Owners::trusted) {
    if (auto trusted = check_owners(file.number(), path); !trusted) return trusted.error();
  }
  std::string bytes(*size, '\0');
  std::size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t got = ::read(file.number(), bytes.data() + done, bytes.size() - done);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return unreadable(path, errno);
    if (got == 0) break;
    done += static_cast<std::size_t>(got);
  }
  // Somebody may be writing the file: what is missing then, the ELF reader finds.
  bytes.resize(done);
  return bytes;
}

}  // namespace sonicorn::app
