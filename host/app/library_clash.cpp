#include "app/library_clash.hpp"

#include <dlfcn.h>
#include <fmt/format.h>
#include <link.h>

#include <algorithm>
#include <system_error>
#include <vector>

#include "app/library_path.hpp"
#include "app/module.hpp"
#include "app/module_file.hpp"

namespace sonicorn::app {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> canonical(std::vector<fs::path> folders) {
  std::error_code ignored;
  for (fs::path& folder : folders) folder = fs::weakly_canonical(folder, ignored);
  return folders;
}

// `folders` are canonical. What is made for some processors lies in FOLDER/glibc-hwcaps/PROCESSOR.
bool lies_in(const std::vector<fs::path>& folders, const fs::path& file) {
  std::error_code ignored;
  fs::path folder = fs::weakly_canonical(file.parent_path(), ignored);
  if (folder.parent_path().filename() == "glibc-hwcaps") {
    folder = folder.parent_path().parent_path();
  }
  return std::find(folders.begin(), folders.end(), folder) != folders.end();
}

bool same_library(const fs::path& one, const fs::path& other) {
  std::error_code ignored;
  if (fs::equivalent(one, other, ignored)) return true;
  if (fs::file_size(one, ignored) != fs::file_size(other, ignored)) return false;
  const auto bytes = read_module_file(one);
  const auto other_bytes = read_module_file(other);
  return bytes && other_bytes && *bytes == *other_bytes;
}

}  // namespace

fs::path loaded_as(const std::string& library) {
  void* const handle = ::dlopen(library.c_str(), RTLD_LAZY | RTLD_LOCAL | RTLD_NOLOAD);
  if (handle == nullptr) {
    // What it said is no failure of anybody's.
    static_cast<void>(::dlerror());
    return {};
  }
  const link_map* map = nullptr;
  fs::path file;
  if (::dlinfo(handle, RTLD_DI_LINKMAP, &map) == 0) file = map->l_name;
  ::dlclose(handle);
  return file;
}

std::optional<core::Error> library_clash(const Inspection& inspection) {
  std::vector<fs::path> system_folders;
  for (const NeededLibrary& library : inspection.libraries) {
    const fs::path loaded = loaded_as(library.name);
    if (loaded.empty() || same_library(loaded, library.file)) continue;
    if (system_folders.empty()) system_folders = canonical(system_library_folders());
    if (lies_in(system_folders, loaded) && lies_in(system_folders, library.file)) continue;
    return core::app_error(
        "app.library_clash",
        fmt::format("{} needs {} from {}, but another app loaded one of that name from {}: link "
                    "one of them with another -soname",
                    inspection.file.filename().string(), library.name, library.file.string(),
                    library_original(loaded).string()));
  }
  return std::nullopt;
}

}  // namespace sonicorn::app
