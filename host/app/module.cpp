#include "app/module.hpp"

#include <dlfcn.h>
#include <elf.h>
#include <fmt/format.h>
#include <link.h>

#include <boost/dll/shared_library.hpp>
#include <string>
#include <utility>
#include <vector>

#include "app/library_clash.hpp"

namespace sonicorn::app {
namespace {

using Library = boost::dll::shared_library;

// What dlopen said last, on one line and about the app's own file instead of its copy.
std::string loader_text(const std::filesystem::path& copy, const std::filesystem::path& file) {
  const char* const said = ::dlerror();
  std::string text = said == nullptr ? "the dynamic loader gives no reason" : said;
  const std::string& from = copy.native();
  for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at)) {
    text.replace(at, from.size(), file.native());
    at += file.native().size();
  }
  return text;
}

Library open(const std::filesystem::path& path) {
  Library library;
  boost::dll::fs::error_code failure;
  library.load(path, boost::dll::load_mode::rtld_now | boost::dll::load_mode::rtld_local, failure);
  return library;
}

// One of them may need another that is found only after that one is loaded, so those that fail are
// tried again as long as there is progress. What still fails then, the loader tells for the app
// itself.
std::vector<Library> open_beside(std::vector<std::filesystem::path> paths) {
  std::vector<Library> libraries;
  for (bool progress = true; progress && !paths.empty();) {
    progress = false;
    std::vector<std::filesystem::path> failed;
    for (std::filesystem::path& path : paths) {
      if (Library library = open(path); library.is_loaded()) {
        libraries.push_back(std::move(library));
        progress = true;
      } else {
        failed.push_back(std::move(path));
      }
    }
    paths = std::move(failed);
  }
  return libraries;
}

// The app shares a library with one that is loaded already, since that is the same: no clash.
std::vector<std::filesystem::path> copies_to_open(const std::filesystem::path& private_copy,
                                                  const Inspection& inspection) {
  std::vector<std::filesystem::path> copies;
  for (const std::filesystem::path& library : inspection.libraries_beside) {
    if (loaded_as(library.filename().string()).empty()) {
      copies.push_back(library_copy(private_copy, library));
    }
  }
  return copies;
}

const link_map* map_of(const Library& library) {
  link_map* map = nullptr;
  return ::dlinfo(library.native(), RTLD_DI_LINKMAP, &map) == 0 ? map : nullptr;
}

// The address of a function that this very object defines; null for what dlsym finds in a
// dependency.
void* own_function(const Library& library, const std::string& symbol) {
  void* const address = ::dlsym(library.native(), symbol.c_str());
  if (address == nullptr) return nullptr;
  Dl_info info{};
  void* owner = nullptr;
  if (::dladdr1(address, &info, &owner, RTLD_DL_LINKMAP) == 0 || owner != map_of(library)) {
    return nullptr;
  }
  void* entry = nullptr;
  if (::dladdr1(address, &info, &entry, RTLD_DL_SYMENT) != 0 && entry != nullptr &&
      info.dli_saddr == address) {
    const auto type = ELF64_ST_TYPE(static_cast<const ElfW(Sym)*>(entry)->st_info);
    if (type == STT_OBJECT || type == STT_TLS || type == STT_COMMON) return nullptr;
  }
  return address;
}

class Resolver {
 public:
  Resolver(const Library& library, const Inspection& inspection)
      : library_(library), inspection_(inspection) {}

  template <class Function>
  void resolve(Attribute attribute, Function& to) {
    if (!inspection_.attributes.has(attribute)) return;
    const std::string symbol = std::string(kSymbolPrefix) + std::string(name_of(attribute));
    void* const address = own_function(library_, symbol);
    if (address == nullptr && foreign_.empty()) foreign_ = symbol;
    to = reinterpret_cast<Function>(address);
  }

  // The first declared attribute that is no function of this object; empty when all are.
  const std::string& foreign() const { return foreign_; }

 private:
  const Library& library_;
  const Inspection& inspection_;
  std::string foreign_;
};

}  // namespace

// Members close in reverse order: the app before the libraries that it needs.
struct Module::Loaded {
  std::filesystem::path path;
  std::vector<Library> beside;
  Library library;
  AttributeTable attributes;
};

core::Result<Module> Module::load(const std::filesystem::path& private_copy,
                                  const Inspection& inspection) {
  const std::string file = inspection.file.filename().string();
  if (auto clash = library_clash(inspection)) return *std::move(clash);
  auto loaded = std::make_unique<Loaded>();
  loaded->path = private_copy;
  loaded->beside = open_beside(copies_to_open(private_copy, inspection));
  loaded->library = open(private_copy);
  if (!loaded->library.is_loaded()) {
    return core::app_error(
        "app.load_failed",
        fmt::format(
            "{} cannot be loaded: {}; correct the build of the app or install what it needs", file,
            loader_text(private_copy, inspection.file)));
  }
  Resolver resolver(loaded->library, inspection);
#define X(name) resolver.resolve(Attribute::name, loaded->attributes.name);
  SONICORN_ATTRIBUTES(X)
#undef X
  if (!resolver.foreign().empty()) {
    return core::app_error(
        "app.foreign_attribute",
        fmt::format("{} declares {}, but that name does not lead to a function of the file itself: "
                    "define the function in the app and link it without interposing symbols",
                    file, resolver.foreign()));
  }
  return Module(std::move(loaded));
}

Module::Module(std::unique_ptr<Loaded> loaded) : loaded_(std::move(loaded)) {}
Module::Module(Module&&) noexcept = default;
Module& Module::operator=(Module&&) noexcept = default;
Module::~Module() = default;

void Module::close() noexcept { loaded_.reset(); }

const AttributeTable& Module::attributes() const { return loaded_->attributes; }
const std::filesystem::path& Module::path() const { return loaded_->path; }

std::vector<core::AddressRange> Module::code() const {
  std::vector<core::AddressRange> ranges;
  const auto add = [&](const Library& library) {
    // The dynamic section lies inside the object.
    const link_map* const map = map_of(library);
    if (map != nullptr)
      ranges.push_back(core::object_at(reinterpret_cast<std::uintptr_t>(map->l_ld)));
  };
  add(loaded_->library);
  for (const Library& library : loaded_->beside) add(library);
  return ranges;
}

}  // namespace sonicorn::app
