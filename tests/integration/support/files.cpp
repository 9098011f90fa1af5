#include "support/files.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <system_error>

namespace support {

std::string executable() { return SONICORN_EXECUTABLE; }

bool has_sanitizer() { return *SONICORN_SANITIZE != '\0'; }

bool has_thread_sanitizer() { return std::string_view(SONICORN_SANITIZE) == "thread"; }

bool has_assertions() { return std::string_view(SONICORN_BUILD_TYPE) == "Debug"; }

std::filesystem::path fixture(std::string_view name) {
  return std::filesystem::path(SONICORN_FIXTURE_DIR) / (std::string(name) + ".so");
}

TemporaryFolder::TemporaryFolder() {
  std::string name = std::filesystem::temp_directory_path() / "sonicorn-test-XXXXXX";
  if (::mkdtemp(name.data()) == nullptr) {
    throw std::system_error(errno, std::generic_category(), "mkdtemp");
  }
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

void write_file(const std::filesystem::path& file, std::string_view text) {
  std::ofstream stream(file, std::ios::binary);
  stream << text;
  stream.close();
  if (!stream) throw std::runtime_error("cannot write " + file.string());
}

std::string read_file(const std::filesystem::path& file) {
  std::ifstream stream(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(stream), {}};
}

std::vector<std::string> read_lines(const std::filesystem::path& file) {
  std::ifstream stream(file);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

// Open for both directions, so that neither side of it ever waits for the other to open.
Fifo::Fifo(std::filesystem::path path) : path_(std::move(path)) {
  if (::mkfifo(path_.c_str(), 0600) != 0 ||
      (fd_ = ::open(path_.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC)) < 0) {
    throw std::system_error(errno, std::generic_category(), path_);
  }
}

Fifo::~Fifo() { ::close(fd_); }

void Fifo::wait(int count, std::chrono::milliseconds limit) const {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  while (count > 0) {
    const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
        deadline - std::chrono::steady_clock::now());
    pollfd waited{fd_, POLLIN, 0};
    if (left.count() <= 0 || ::poll(&waited, 1, static_cast<int>(left.count())) == 0) {
      throw std::runtime_error(path_.string() + ": " + std::to_string(count) +
                               " events did not come in time");
    }
    char byte = 0;
    if (::read(fd_, &byte, 1) == 1) --count;
  }
}

void Fifo::put(int count) const {
  const std::string events(static_cast<std::size_t>(count), '!');
  if (::write(fd_, events.data(), events.size()) != count) {
    throw std::system_error(errno, std::generic_category(), path_);
  }
}

}  // namespace support
