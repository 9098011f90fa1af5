#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <filesystem>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "core/result.hpp"

namespace sonicorn::dev {

// Whether a change of this file, or of all below this folder, is none of a project's sources: what
// is hidden, what editors and databases put beside a file, build folders by their usual names.
// `name` is one component of a path.
bool is_ignored(std::string_view name, bool is_folder);

// Tells when something in a folder, or in those below it, was written, made, moved or removed. For
// the thread of `io`.
class Watcher {
 public:
  // Called when all was quiet for a moment after changes; `file`, below the folder, is the last of
  // them.
  using OnChange = std::function<void(const std::filesystem::path& file)>;

  // Nothing below `build_folder` is looked at, nor below any other folder with a CMakeCache.txt.
  Watcher(boost::asio::io_context& io, std::filesystem::path folder,
          std::filesystem::path build_folder, OnChange on_change);

  // Error: host.watch, when the folder cannot be watched, or the system allows no more watches.
  core::Result<void> start();

 private:
  core::Result<void> add(const std::filesystem::path& folder);
  bool is_build(const std::filesystem::path& folder) const;
  void await_events();
  bool read_events();
  void take(int watch, std::uint32_t mask, std::string_view name);
  void note(const std::filesystem::path& file);

  boost::asio::posix::stream_descriptor events_;
  boost::asio::steady_timer quiet_;
  std::filesystem::path folder_;
  std::filesystem::path build_folder_;
  OnChange on_change_;
  std::unordered_map<int, std::filesystem::path> watched_;
  std::filesystem::path last_change_;
};

}  // namespace sonicorn::dev
