#include "admin/control_path.hpp"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <system_error>

namespace sonicorn::admin {
namespace {

namespace fs = std::filesystem;

// What systemd names in its variable; several, separated by colons, where the unit has several.
std::optional<fs::path> first_of(const char* variable) {
  const char* const given = std::getenv(variable);
  if (given == nullptr || *given == 0) return std::nullopt;
  const std::string all = given;
  return all.substr(0, all.find(':'));
}

// In the order in which they are tried.
std::vector<fs::path> folders() {
  std::vector<fs::path> all;
  if (const auto given = first_of("RUNTIME_DIRECTORY")) all.push_back(*given);
  if (::geteuid() == 0) all.emplace_back("/run/sonicorn");
  if (const char* const given = std::getenv("XDG_RUNTIME_DIR"); given != nullptr && *given != 0) {
    all.push_back(fs::path(given) / "sonicorn");
  }
  all.emplace_back(fmt::format("/tmp/sonicorn-{}", ::geteuid()));
  return all;
}

// A folder that is ours, so nobody can put a socket of his own there.
std::string fault_of(const fs::path& folder) {
  struct stat found {};
  if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return std::strerror(errno);
  if (::lstat(folder.c_str(), &found) != 0) return std::strerror(errno);
  if (!S_ISDIR(found.st_mode)) return "it is no folder";
  if (found.st_uid != ::geteuid()) return "it is somebody else's";
  if ((found.st_mode & 022) != 0) return "others may write to it";
  return ::access(folder.c_str(), W_OK) == 0 ? "" : std::strerror(errno);
}

// Errors: host.admin.
core::Result<fs::path> usual_folder() {
  std::string faults;
  for (const fs::path& folder : folders()) {
    const std::string fault = fault_of(folder);
    if (fault.empty()) return folder;
    faults += fmt::format("{}{}: {}", faults.empty() ? "" : "; ", folder.string(), fault);
  }
  return core::host_error("host.admin", faults);
}

// "PID.sock": others may have their sockets in the folder, too.
bool is_usual_name(const fs::path& path) {
  const std::string stem = path.stem().string();
  return !stem.empty() && stem.find_first_not_of("0123456789") == std::string::npos;
}

}  // namespace

bool somebody_listens(const fs::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string& text = path.native();
  if (text.size() >= sizeof(address.sun_path)) return false;
  std::memcpy(address.sun_path, text.c_str(), text.size() + 1);
  const int probe = ::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (probe < 0) return false;
  // EAGAIN: its queue is full.
  const bool listens =
      ::connect(probe, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 ||
      errno == EAGAIN;
  ::close(probe);
  return listens;
}

core::Result<fs::path> usual_control_path(pid_t pid) {
  const auto folder = usual_folder();
  if (!folder) return folder.error();
  return *folder / fmt::format("{}.sock", pid);
}

fs::path usual_journal_path(const fs::path& control) {
  if (!control.empty()) return control.string() + ".journal";
  if (const auto kept = first_of("STATE_DIRECTORY")) return *kept / "journal";
  const auto folder = usual_folder();
  return folder ? *folder / "journal" : fs::path();
}

std::vector<fs::path> find_journals() {
  std::vector<fs::path> found;
  std::vector<fs::path> usual = folders();
  usual.emplace_back("/var/lib/sonicorn");  // systemd's, seen from outside of the service
  for (const fs::path& folder : usual) {
    std::error_code failure;
    if (fs::is_regular_file(folder / "journal", failure)) found.push_back(folder / "journal");
  }
  return found;
}

std::vector<fs::path> find_controls() {
  std::vector<fs::path> found;
  for (const fs::path& folder : folders()) {
    std::error_code failure;
    for (const fs::directory_entry& entry : fs::directory_iterator(folder, failure)) {
      if (entry.path().extension() != ".sock") continue;
      if (somebody_listens(entry.path())) {
        found.push_back(entry.path());
      } else if (errno == ECONNREFUSED && is_usual_name(entry.path())) {
        ::unlink(entry.path().c_str());
      }
    }
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

}  // namespace sonicorn::admin
