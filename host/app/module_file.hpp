#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "core/result.hpp"

namespace sonicorn::app {

// The whole content of an app's file: a regular file of at most 1 GiB. The file is read, never
// mapped, so that nobody who overwrites it can harm the server. Errors: app.file_missing,
// app.file_unreadable, app.not_a_file, app.file_empty, app.file_too_large.
core::Result<std::string> read_module_file(const std::filesystem::path& path);

// A file that is mapped for reading: the loader maps libraries where they lie, too. Movable.
class MappedFile {
 public:
  // Holds no bytes when `path` is no regular file that can be read.
  explicit MappedFile(const std::filesystem::path& path);
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&&) = delete;
  ~MappedFile();

  std::string_view bytes() const { return {data_, size_}; }

 private:
  const char* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace sonicorn::app
