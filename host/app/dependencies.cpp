#include "app/dependencies.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <memory>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <utility>

#include "app/library_path.hpp"

namespace sonicorn::app {
namespace {

namespace fs = std::filesystem;

// The bytes of this program or of a library. They are many, and few of them are looked at, so they
// are mapped, as the loader will map them.
class Mapping {
 public:
  explicit Mapping(const fs::path& path) {
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat status {};
    if (file >= 0 && ::fstat(file, &status) == 0 && S_ISREG(status.st_mode)) {
      size_ = static_cast<std::size_t>(status.st_size);
      bytes_ = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file, 0);
    }
    if (file >= 0) ::close(file);
  }
  ~Mapping() {
    if (bytes_ != MAP_FAILED) ::munmap(bytes_, size_);
  }
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  // Empty when they cannot be had.
  std::string_view bytes() const {
    return bytes_ == MAP_FAILED ? std::string_view()
                                : std::string_view(static_cast<const char*>(bytes_), size_);
  }

 private:
  void* bytes_ = MAP_FAILED;
  std::size_t size_ = 0;
};

// One object of a closure: the app, the server, or a library that one of them needs.
struct Object {
  fs::path file;
  std::unique_ptr<Mapping> content;  // what `image` views; null for the app: the caller holds it
  ElfImage image;
  const Object* needed_by = nullptr;
  bool moves = false;  // it is the app, or goes with it: loaded from a copy in another folder

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
    found_ = {};
  }

  void add_app(const ElfImage& image, const fs::path& file) {
    objects_.push_back(std::make_unique<Object>(Object{file, {}, image, nullptr, true}));
    app_ = objects_.back().get();
    const std::size_t first = objects_.size() - 1;
    add_what_is_needed(first);
    for (std::size_t i = first; i < objects_.size(); ++i) check_versions(*objects_[i]);
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

  Dependencies& found() { return found_; }

 private:
  struct Folder {
    std::string path;
    const Object* beside = nullptr;  // the object that moves whose $ORIGIN leads there
  };

  static std::unique_ptr<Object> open(const fs::path& file) {
    auto content = std::make_unique<Mapping>(file);
    auto image = ElfImage::parse(content->bytes());
    if (!image) return nullptr;
    return std::make_unique<Object>(
        Object{file, std::move(content), *std::move(image), nullptr, false});
  }

  void add_what_is_needed(std::size_t from) {
    for (std::size_t i = from; i < objects_.size(); ++i) {
      const Object& object = *objects_[i];
      for (const std::string_view name : object.image.needed()) add(std::string(name), object);
    }
  }

  // The loader takes what is there under that name already, and looks for a file only else.
  void add(const std::string& name, const Object& needed_by) {
    if (!objects_by_name_.emplace(name, nullptr).second) return;
    const Object* beside = nullptr;
    auto library = find(name, needed_by, beside);
    if (!library) {
      found_.missing.push_back({name, needed_by.file.filename().string(), false});
      return;
    }
    objects_by_name_[name] = library.get();
    library->needed_by = &needed_by;
    library->moves = beside != nullptr;
    const std::string_view soname = library->image.soname();
    if (!soname.empty()) objects_by_name_.emplace(soname, library.get());
    if (beside != nullptr && beside == app_ && soname != name) {
      found_.missing.push_back({name, needed_by.file.filename().string(), true});
    } else if (beside != nullptr) {
      found_.beside.push_back(library->file);
    }
    found_.libraries.push_back({name, library->file});
    objects_.push_back(std::move(library));
  }

  // As the loader does it: a library without any versions is taken for all of them.
  void check_versions(const Object& object) {
    for (const ElfVersionNeed& need : object.image.needed_versions()) {
      const auto known = objects_by_name_.find(std::string(need.library));
      if (need.weak || known == objects_by_name_.end() || known->second == nullptr) continue;
      const std::vector<std::string_view>& defined = known->second->image.defined_versions();
      if (defined.empty() ||
          std::find(defined.begin(), defined.end(), need.version) != defined.end()) {
        continue;
      }
      found_.missing_versions.push_back({std::string(need.version), std::string(need.library),
                                         known->second->file, object.file.filename().string()});
    }
  }

  std::unique_ptr<Object> find(const std::string& name, const Object& needed_by,
                               const Object*& beside) const {
    if (name.find('/') != std::string::npos) {
      beside = needed_by.moves && names_origin(name) ? &needed_by : nullptr;
      return open(expanded(name, needed_by.origin()));
    }
    for (const Folder& folder : folders_for(needed_by)) {
      const fs::path candidate = fs::path(folder.path) / name;
      std::error_code ignored;
      if (!fs::exists(candidate, ignored)) continue;
      // A library of another machine is passed over, as the loader does.
      if (auto library = open(candidate)) {
        beside = folder.beside;
        return library;
      }
    }
    return nullptr;
  }

  void append(std::vector<Folder>& folders, std::string_view list, const Object& object) const {
    for (const std::string& entry : split_library_path(list)) {
      folders.push_back({expanded(entry, object.origin()),
                         object.moves && names_origin(entry) ? &object : nullptr});
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
      folders.push_back({entry, nullptr});
    }
    append(folders, object.image.runpath(), object);
    for (const fs::path& folder : system_folders_) folders.push_back({folder.string(), nullptr});
    return folders;
  }

  const std::vector<std::string> library_path_;
  const std::vector<fs::path> system_folders_ = system_library_folders();
  std::vector<std::unique_ptr<Object>> objects_;
  std::unordered_map<std::string, const Object*> objects_by_name_;  // null: not found
  const Object* server_ = nullptr;
  const Object* app_ = nullptr;
  Dependencies found_;
};

}  // namespace

Dependencies find_dependencies(const ElfImage& object, const std::filesystem::path& file) {
  Closure closure;
  closure.add_server();
  closure.add_app(object, file);
  Dependencies dependencies = std::move(closure.found());
  dependencies.undefined = closure.undefined_in_app();
  return dependencies;
}

}  // namespace sonicorn::app
