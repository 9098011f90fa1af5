#include "app/dependencies.hpp"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <unordered_set>
#include <utility>

#include "app/library_path.hpp"
#include "app/module_file.hpp"

namespace sonicorn::app {
namespace {

namespace fs = std::filesystem;

// One object of a closure: the app, the server, or a library that one of them needs.
struct Object {
  fs::path file;
  MappedFile content;  // what `image` views; empty for the app, whose bytes the caller holds
  ElfImage image;
  const Object* needed_by = nullptr;

  fs::path origin() const { return fs::absolute(file).parent_path(); }
};

std::string variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? std::string{} : value;
}

// All that ends up in the process, in the order in which the loader finds it.
class Closure {
 public:
  Closure() : library_path_(split_library_path(variable("LD_LIBRARY_PATH"))) {}

  void add_server() {
    const fs::path self = "/proc/self/exe";
    std::error_code ignored;
    auto server = open(self);
    if (!server) return;
    server->file = fs::read_symlink(self, ignored);
    server_ = server.get();
    objects_.push_back(std::move(server));
    std::string preloaded = variable("LD_PRELOAD");
    std::replace(preloaded.begin(), preloaded.end(), ' ', ':');
    for (const std::string& name : split_library_path(preloaded)) add(name, *server_);
    add_what_is_needed(0);
    // What the server itself lacks is no business of the app.
    missing_.clear();
  }

  void add_app(const ElfImage& image, const fs::path& file) {
    objects_.push_back(std::make_unique<Object>(Object{file, MappedFile({}), image, nullptr}));
    app_ = objects_.back().get();
    add_what_is_needed(objects_.size() - 1);
  }

  std::vector<std::string> undefined_in_app() const {
    std::unordered_set<std::string_view> open;
    for (const ElfSymbol& symbol : app_->image.symbols()) {
      if (symbol.is_required()) open.insert(symbol.name);
    }
    for (const auto& object : objects_) {
      if (open.empty()) break;
      for (const ElfSymbol& symbol : object->image.symbols()) {
        if (symbol.is_exported()) open.erase(symbol.name);
      }
    }
    std::vector<std::string> names(open.begin(), open.end());
    std::sort(names.begin(), names.end());
    return names;
  }

  std::vector<Dependencies::Missing>& missing() { return missing_; }
  std::vector<fs::path>& beside() { return beside_; }

 private:
  struct Folder {
    std::string path;
    bool beside_app = false;  // reached through the app's $ORIGIN
  };

  static std::unique_ptr<Object> open(const fs::path& file) {
    MappedFile content(file);
    auto image = ElfImage::parse(content.bytes());
    if (!image) return nullptr;
    return std::make_unique<Object>(Object{file, std::move(content), *std::move(image), nullptr});
  }

  void add_what_is_needed(std::size_t from) {
    for (std::size_t i = from; i < objects_.size(); ++i) {
      const Object& object = *objects_[i];
      for (const std::string_view name : object.image.needed()) add(std::string(name), object);
    }
  }

  // The loader takes what is there under that name already, and looks for a file only else.
  void add(const std::string& name, const Object& needed_by) {
    if (!names_.insert(name).second) return;
    bool beside_app = false;
    auto library = find(name, needed_by, beside_app);
    if (!library) {
      missing_.push_back({name, needed_by.file.filename().string(), false});
      return;
    }
    library->needed_by = &needed_by;
    if (!library->image.soname().empty()) names_.emplace(library->image.soname());
    if (beside_app && library->image.soname() == name) {
      beside_.push_back(library->file);
    } else if (beside_app) {
      missing_.push_back({name, needed_by.file.filename().string(), true});
    }
    objects_.push_back(std::move(library));
  }

  std::unique_ptr<Object> find(const std::string& name, const Object& needed_by,
                               bool& beside_app) const {
    if (name.find('/') != std::string::npos) {
      beside_app = &needed_by == app_ && names_origin(name);
      return open(expanded(name, needed_by.origin()));
    }
    for (const Folder& folder : folders_for(needed_by)) {
      const fs::path candidate = fs::path(folder.path) / name;
      std::error_code ignored;
      if (!fs::exists(candidate, ignored)) continue;
      // A library of another machine is passed over, as the loader does.
      if (auto library = open(candidate)) {
        beside_app = folder.beside_app;
        return library;
      }
    }
    return nullptr;
  }

  void append(std::vector<Folder>& folders, std::string_view list, const Object& object) const {
    for (const std::string& entry : split_library_path(list)) {
      folders.push_back({expanded(entry, object.origin()), &object == app_ && names_origin(entry)});
    }
  }

  std::vector<Folder> folders_for(const Object& object) const {
    std::vector<Folder> folders;
    if (object.image.runpath().empty()) {
      for (const Object* at = &object; at != nullptr; at = at->needed_by) {
        if (at->image.runpath().empty()) append(folders, at->image.rpath(), *at);
      }
      if (server_ != nullptr && server_->image.runpath().empty()) {
        append(folders, server_->image.rpath(), *server_);
      }
    }
    for (const std::string& entry : library_path_) {
      folders.push_back({entry, false});
    }
    append(folders, object.image.runpath(), object);
    for (const fs::path& folder : system_folders_) folders.push_back({folder.string(), false});
    return folders;
  }

  const std::vector<std::string> library_path_;
  const std::vector<fs::path> system_folders_ = system_library_folders();
  std::vector<std::unique_ptr<Object>> objects_;
  std::unordered_set<std::string> names_;
  const Object* server_ = nullptr;
  const Object* app_ = nullptr;
  std::vector<Dependencies::Missing> missing_;
  std::vector<fs::path> beside_;
};

}  // namespace

Dependencies find_dependencies(const ElfImage& object, const std::filesystem::path& file) {
  Closure closure;
  closure.add_server();
  closure.add_app(object, file);
  Dependencies dependencies;
  dependencies.undefined = closure.undefined_in_app();
  dependencies.missing = std::move(closure.missing());
  dependencies.beside = std::move(closure.beside());
  return dependencies;
}

}  // namespace sonicorn::app
