#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "app/attributes.hpp"
#include "app/inspection.hpp"
#include "app/module_file.hpp"
#include "app/runtime_dir.hpp"
#include "core/place.hpp"
#include "core/result.hpp"

namespace sonicorn::app {

// The loaded code of one generation, with the functions that it declares. Movable; reading is
// thread-safe.
class Module {
 public:
  // Loads `private_copy` with all its symbols bound and none of them visible to others; runs the
  // app's static constructors on this thread. The file must be one that nobody changes and that
  // this process has not loaded before under that name; its libraries_beside are loaded from where
  // copy_libraries_beside put them. Errors: app.library_clash (library_clash.hpp), app.load_failed
  // (the loader's own words), app.foreign_attribute (a declared attribute does not resolve to a
  // function of this very object). An exception that leaves a constructor of the app leaves this
  // function.
  static core::Result<Module> load(const std::filesystem::path& private_copy,
                                   const Inspection& inspection);

  Module(Module&&) noexcept;
  Module& operator=(Module&&) noexcept;
  // Closes it.
  ~Module();

  // Runs the app's static destructors and closes the library: nothing of the app may be running or
  // be called after. A second time changes nothing.
  void close() noexcept;

  // These are valid until it is closed.
  const AttributeTable& attributes() const;
  const std::filesystem::path& path() const;
  // Where the code of the app and of its own libraries is.
  std::vector<core::AddressRange> code() const;

 private:
  struct Loaded;
  explicit Module(std::unique_ptr<Loaded> loaded);

  std::unique_ptr<Loaded> loaded_;
};

// The name of a new file in `folder`, made of `name` and `generation`, that this process never used
// before. Thread-safe.
std::filesystem::path private_copy_path(const RuntimeDir& folder, std::string_view name,
                                        std::uint64_t generation);

// Writes `bytes` to the new file `path`, mode 0500. Thread-safe. Error: host.private_copy.
core::Result<void> write_private_copy(const std::filesystem::path& path, std::string_view bytes);
// The same with a name of private_copy_path(), which is the result.
core::Result<std::filesystem::path> write_private_copy(const RuntimeDir& folder,
                                                       std::string_view bytes,
                                                       std::string_view name,
                                                       std::uint64_t generation);

// Copies `libraries` (Inspection::libraries_beside) to the folder where Module::load looks for
// them, under their own names, so that nobody who overwrites one can harm the server. Each copy
// finds the others through $ORIGIN when they lie in one folder; a file that such a library opens
// itself relative to its own place is not there. Libraries found in other ways, by an absolute
// RUNPATH or in the system's folders, are loaded where they lie. Thread-safe for different copies
// of apps. Errors: host.private_copy, and those of read_module_file.
core::Result<void> copy_libraries_beside(const std::filesystem::path& private_copy,
                                         std::span<const std::filesystem::path> libraries,
                                         Owners owners = Owners::any);

// Where the copy of one of them is.
std::filesystem::path library_copy(const std::filesystem::path& private_copy,
                                   const std::filesystem::path& library);

// What a copy of a library was made from; `file` itself when it is no such copy.
std::filesystem::path library_original(const std::filesystem::path& file);

}  // namespace sonicorn::app
