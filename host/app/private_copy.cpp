#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <system_error>

#include "app/module.hpp"
#include "app/module_file.hpp"
#include "core/descriptor.hpp"

namespace sonicorn::app {
namespace {

// The manifest's name in a form that every file system and every tool takes.
std::string file_name_part(std::string_view name) {
  constexpr std::size_t kLongest = 64;
  std::string part;
  for (const char c : name.substr(0, kLongest)) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_';
    part += plain ? c : '_';
  }
  return part;
}

core::Error cannot_write(const std::filesystem::path& path, int error) {
  return core::host_error(
      "host.private_copy",
      fmt::format("{}: the private copy of the app cannot be written ({}); {}", path.string(),
                  std::generic_category().message(error),
                  error == ENOSPC || error == EDQUOT
                      ? "free space there, or set runtime_dir to a folder with more"
                      : "set runtime_dir to a folder that this user may write to"));
}

// What the copy of a library was made from is told by a symbolic link of its name and this.
constexpr std::string_view kOriginalSuffix = ".original";

core::Result<void> write_new(const std::filesystem::path& path, std::string_view bytes) {
  const int file = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0700);
  if (file < 0) return cannot_write(path, errno);
  int error = core::write_all(file, bytes) ? 0 : errno;
  if (error == 0 && ::fchmod(file, 0500) != 0) error = errno;
  if (::close(file) != 0 && error == 0) error = errno;
  if (error != 0) {
    ::unlink(path.c_str());
    return cannot_write(path, error);
  }
  return {};
}

}  // namespace

std::filesystem::path private_copy_path(const RuntimeDir& folder, std::string_view name,
                                        std::uint64_t generation) {
  // The loader answers a name that it knows with the code that it knows, so no name comes twice.
  static std::atomic<std::uint64_t> serial{0};
  return folder.path() / fmt::format("{}-{}-{}.so", file_name_part(name), generation, ++serial);
}

core::Result<void> write_private_copy(const std::filesystem::path& path, std::string_view bytes) {
  return write_new(path, bytes);
}

core::Result<std::filesystem::path> write_private_copy(const RuntimeDir& folder,
                                                       std::string_view bytes,
                                                       std::string_view name,
                                                       std::uint64_t generation) {
  std::filesystem::path path = private_copy_path(folder, name, generation);
  if (auto written = write_new(path, bytes); !written) return written.error();
  return path;
}

core::Result<void> copy_libraries_beside(const std::filesystem::path& private_copy,
                                         std::span<const std::filesystem::path> libraries,
                                         Owners owners) {
  if (libraries.empty()) return {};
  const std::filesystem::path folder = library_copy(private_copy, {}).parent_path();
  if (::mkdir(folder.c_str(), 0700) != 0) return cannot_write(folder, errno);
  for (const std::filesystem::path& library : libraries) {
    const auto bytes = read_module_file(library, owners);
    if (!bytes) return bytes.error();
    const std::filesystem::path copy = library_copy(private_copy, library);
    if (auto written = write_new(copy, *bytes); !written) return written.error();
    std::error_code error;
    const auto original = std::filesystem::absolute(library, error);
    std::filesystem::create_symlink(original, copy.string() + std::string(kOriginalSuffix), error);
    if (error) return cannot_write(copy, error.value());
  }
  return {};
}

std::filesystem::path library_copy(const std::filesystem::path& private_copy,
                                   const std::filesystem::path& library) {
  return std::filesystem::path(private_copy.string() + ".libraries") / library.filename();
}

std::filesystem::path library_original(const std::filesystem::path& file) {
  std::error_code error;
  auto original =
      std::filesystem::read_symlink(file.string() + std::string(kOriginalSuffix), error);
  return error ? file : original;
}

}  // namespace sonicorn::app
