#include "conformance/process_state.hpp"

#include <dirent.h>
#include <fmt/format.h>
#include <malloc.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>

namespace sonicorn::conformance {
namespace {

// The entries of a folder of /proc whose names are numbers. One of them may be the descriptor of
// the folder itself, which is closed by the time that the result is looked at.
std::vector<int> numbers_in(const char* folder) {
  std::vector<int> numbers;
  const std::unique_ptr<DIR, int (*)(DIR*)> entries(::opendir(folder), &::closedir);
  if (!entries) return numbers;
  while (const dirent* const entry = ::readdir(entries.get())) {
    char* end = nullptr;
    const long number = std::strtol(entry->d_name, &end, 10);
    if (*end == '\0' && end != entry->d_name) numbers.push_back(static_cast<int>(number));
  }
  return numbers;
}

}  // namespace

std::set<pid_t> threads() {
  std::set<pid_t> found;
  for (const int number : numbers_in("/proc/self/task")) found.insert(number);
  return found;
}

std::string name_of_thread(pid_t thread) {
  std::ifstream file(fmt::format("/proc/self/task/{}/comm", thread));
  std::string name;
  std::getline(file, name);
  return name;
}

std::map<int, std::string> descriptors() {
  std::map<int, std::string> found;
  for (const int number : numbers_in("/proc/self/fd")) {
    std::error_code error;
    const auto target =
        std::filesystem::read_symlink(fmt::format("/proc/self/fd/{}", number), error);
    if (!error) found.emplace(number, target.string());
  }
  return found;
}

std::uint64_t blocked_signals(pid_t thread) {
  std::ifstream file(fmt::format("/proc/self/task/{}/status", thread));
  for (std::string line; std::getline(file, line);) {
    constexpr std::string_view kKey = "SigBlk:";
    if (!line.starts_with(kKey)) continue;
    return std::strtoull(line.c_str() + kKey.size(), nullptr, 16);
  }
  return 0;
}

std::uint64_t allocated_bytes() {
  const struct mallinfo2 info = ::mallinfo2();
  return info.uordblks + info.hblkhd;
}

std::uint64_t resident_bytes() {
  std::ifstream file("/proc/self/statm");
  std::uint64_t all = 0;
  std::uint64_t resident = 0;
  file >> all >> resident;
  return resident * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

Dispositions Dispositions::now() {
  Dispositions dispositions;
  dispositions.actions_.resize(static_cast<std::size_t>(SIGRTMAX) + 1);
  for (int signal = 1; signal <= SIGRTMAX; ++signal) {
    ::sigaction(signal, nullptr, &dispositions.actions_[static_cast<std::size_t>(signal)]);
  }
  return dispositions;
}

const struct sigaction& Dispositions::of(int signal) const {
  return actions_[static_cast<std::size_t>(signal)];
}

std::vector<int> Dispositions::differences(const Dispositions& other) const {
  std::vector<int> signals;
  for (int signal = 1; signal <= SIGRTMAX; ++signal) {
    // Handler and disposition share one member of a union, whichever way they were set.
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-union-access)
    if (of(signal).sa_handler != other.of(signal).sa_handler) signals.push_back(signal);
  }
  return signals;
}

void Dispositions::restore() const {
  for (const int signal : differences(now())) ::sigaction(signal, &of(signal), nullptr);
}

}  // namespace sonicorn::conformance
