#include "app/module_file.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

namespace sonicorn::app {
namespace {

constexpr std::size_t kLargestFile = std::size_t{1} << 30;

class Descriptor {
 public:
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  int number() const { return number_; }

 private:
  int number_;
};

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

}  // namespace

core::Result<std::string> read_module_file(const std::filesystem::path& path) {
  const Descriptor file(open_for_reading(path));
  if (file.number() < 0) return unreadable(path, errno);
  const auto size = size_of(file.number(), path);
  if (!size) return size.error();
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
