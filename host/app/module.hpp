#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>

#include "app/attributes.hpp"
#include "app/inspection.hpp"
#include "app/runtime_dir.hpp"
#include "core/result.hpp"

namespace sonicorn::app {

// The loaded code of one generation, with the functions that it declares. Its destructor runs the
// app's static destructors and closes the library: nothing of the app may be running or be called
// after. Movable; reading is thread-safe.
class Module {
 public:
  // Loads `private_copy` with all its symbols bound and none of them visible to others; runs the
  // app's static constructors on this thread. The file must be one that nobody changes and that
  // this process has not loaded before under that name. Errors: app.load_failed (the loader's own
  // words), app.foreign_attribute (a declared attribute does not resolve to a function of this very
  // object). An exception that leaves a constructor of the app leaves this function.
  static core::Result<Module> load(const std::filesystem::path& private_copy,
                                   const Inspection& inspection);

  Module(Module&&) noexcept;
  Module& operator=(Module&&) noexcept;
  ~Module();

  // Valid as long as the module.
  const AttributeTable& attributes() const;
  const std::filesystem::path& path() const;

 private:
  struct Loaded;
  explicit Module(std::unique_ptr<Loaded> loaded);

  std::unique_ptr<Loaded> loaded_;
};

// Writes `bytes` to a new file in `folder` whose name, made of `name` and `generation`, this
// process never used before. Mode 0500. Thread-safe. Error: host.private_copy.
core::Result<std::filesystem::path> write_private_copy(const RuntimeDir& folder,
                                                       std::string_view bytes,
                                                       std::string_view name,
                                                       std::uint64_t generation);

}  // namespace sonicorn::app
