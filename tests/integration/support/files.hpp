#pragma once

#include <chrono>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace support {

// How long anything may take that is expected to happen. Generous: sanitizers and a busy machine.
inline constexpr std::chrono::milliseconds kPatience{30'000};

// The built server, and with which sanitizers it was built.
std::string executable();
bool has_sanitizer();
bool has_thread_sanitizer();
// Whether it was built without NDEBUG.
bool has_assertions();

// The built fixture app of that name.
std::filesystem::path fixture(std::string_view name);

// A folder of its own, removed with all that is in it.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

 private:
  std::filesystem::path path_;
};

void write_file(const std::filesystem::path& file, std::string_view text);

// The whole content; empty when there is no such file.
std::string read_file(const std::filesystem::path& file);

std::vector<std::string> read_lines(const std::filesystem::path& file);

// A FIFO between a test and a fixture: one byte an event.
class Fifo {
 public:
  explicit Fifo(std::filesystem::path path);
  ~Fifo();
  Fifo(const Fifo&) = delete;
  Fifo& operator=(const Fifo&) = delete;

  const std::filesystem::path& path() const { return path_; }

  // Waits for `count` events; throws when they do not come in time.
  void wait(int count = 1, std::chrono::milliseconds limit = kPatience) const;

  // Puts `count` events in.
  void put(int count = 1) const;

 private:
  std::filesystem::path path_;
  int fd_ = -1;
};

}  // namespace support
