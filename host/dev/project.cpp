#include "dev/project.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <system_error>
#include <utility>

#include "config/wording.hpp"
#include "dev/templates.hpp"

namespace sonicorn::dev {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLongestName = 64;

// Targets that CMake has itself, or some of its generators.
constexpr std::string_view kTaken[] = {
    "all",     "clean",     "depend",     "edit_cache",     "help",
    "install", "package",   "preinstall", "package_source", "rebuild_cache",
    "test",    "ALL_BUILD", "RUN_TESTS",  "ZERO_CHECK"};

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

std::string identifier_of(std::string name) {
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

void replace_all(std::string& text, std::string_view what, std::string_view with) {
  for (std::size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += with.size()) {
    text.replace(at, what.size(), with);
  }
}

// As an argument of find_package, with a space before it; empty when CMake is to look by itself.
std::string hint_of(const fs::path& sdk_dir) {
  if (sdk_dir.empty()) return {};
  std::string quoted;
  for (const char c : sdk_dir.string()) {
    if (std::string_view("\\\"$;@").find(c) != std::string_view::npos) quoted += '\\';
    quoted += c;
  }
  return fmt::format(" HINTS \"{}\"", quoted);
}

std::string file_name_of(std::string_view file, const Project& project) {
  if (file == "gitignore") return ".gitignore";
  std::string name(file);
  constexpr std::string_view kPlace = "NAME";
  if (name.starts_with(kPlace)) name.replace(0, kPlace.size(), identifier_of(project.name));
  return name;
}

core::Error failure(const fs::path& path, std::string_view what) {
  return core::host_error("host.project", fmt::format("{}: {}", path.string(), what));
}

core::Result<void> make_folder(const fs::path& folder) {
  std::error_code error;
  const fs::file_status status = fs::status(folder, error);
  if (fs::is_directory(status)) {
    const bool empty = fs::is_empty(folder, error);
    if (error) return failure(folder, error.message() + "; choose another name");
    if (empty) return {};
    return failure(folder,
                   "this folder is there and not empty, and nothing in it is overwritten; choose "
                   "another name, or move it away");
  }
  if (fs::exists(status)) {
    return failure(folder, "this is there and no folder; choose another name, or move it away");
  }
  if (!fs::create_directory(folder, error)) {
    return failure(folder, fmt::format("this folder cannot be made ({}); run it where you may "
                                       "write",
                                       error.message()));
  }
  return {};
}

}  // namespace

std::vector<std::string> languages() {
  std::vector<std::string> found;
  for (const Template& each : templates()) {
    if (std::find(found.begin(), found.end(), each.language) == found.end()) {
      found.emplace_back(each.language);
    }
  }
  return found;
}

std::string fault_of_name(std::string_view name) {
  const auto allowed = [](char c) { return is_letter(c) || is_digit(c) || c == '-' || c == '_'; };
  if (name.empty() || name.size() > kLongestName || !is_letter(name.front()) ||
      !std::all_of(name.begin(), name.end(), allowed)) {
    return fmt::format(
        "{} cannot be the name of an app: it is a letter, then letters, digits, - and _, at most "
        "{} in all, as in hello-world",
        config::in_quotes(std::string(name)), kLongestName);
  }
  if (std::find(std::begin(kTaken), std::end(kTaken), name) != std::end(kTaken)) {
    return fmt::format(
        "{0} cannot be the name of an app: CMake has a target of that name; call it "
        "{0}-app, say",
        name);
  }
  return {};
}

std::string fill_in(std::string_view text, const Project& project) {
  std::string filled(text);
  replace_all(filled, "@IDENTIFIER@", identifier_of(project.name));
  replace_all(filled, "@NAME@", project.name);
  replace_all(filled, "@HINT@", hint_of(project.sdk_dir));
  return filled;
}

core::Result<std::vector<fs::path>> write_project(const Project& project) {
  if (auto made = make_folder(project.folder); !made) return made.error();
  std::vector<fs::path> files;
  for (const Template& each : templates()) {
    if (each.language != project.language) continue;
    const fs::path name = file_name_of(each.file, project);
    std::ofstream stream(project.folder / name, std::ios::binary);
    stream << fill_in(each.text, project);
    stream.close();
    if (!stream) {
      return failure(project.folder / name,
                     fmt::format("this file cannot be written ({}); see that there is room and "
                                 "that you may write there",
                                 std::strerror(errno)));
    }
    files.push_back(name);
  }
  return files;
}

fs::path sdk_of(const fs::path& executable) {
  const fs::path root = executable.parent_path().parent_path();
  for (const char* const folder : {"plugin-sdk/package", "share/cmake/Sonicorn"}) {
    std::error_code ignored;
    if (fs::exists(root / folder / "SonicornConfig.cmake", ignored)) return root / folder;
  }
  return {};
}

}  // namespace sonicorn::dev
