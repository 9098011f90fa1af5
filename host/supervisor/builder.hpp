#pragma once

#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <optional>

#include "app/build.hpp"
#include "app/runtime_dir.hpp"
#include "config/config.hpp"
#include "core/result.hpp"
#include "process/child.hpp"

namespace sonicorn::supervisor {

// A build whose copies exist as long as somebody has it.
using KeptBuild = std::shared_ptr<const app::Build>;

// Makes builds of apps' files, each in a child process, so that neither a file nor its code can do
// any harm here. For the thread of the main loop. The folder of the copies is removed at the end.
class Builder {
 public:
  // Both outlive the builder.
  Builder(boost::asio::io_context& io, process::Children& children);

  // Makes the folder for the copies. Error: host.runtime_dir.
  core::Result<void> open(const std::filesystem::path& parent);

  // Reads and copies the file of `wanted` as it is now, and tries to load the copy, for at most
  // load_time. REQUIRES: open.
  struct Made {
    KeptBuild build;  // null when refused
    std::vector<std::string> warnings;
    std::vector<core::Error> reasons;
  };
  void make(const config::App& wanted, const config::Config& config,
            std::function<void(Made)> done);

  // The same build once more, for a process that has loaded the other. Error: host.private_copy.
  core::Result<KeptBuild> copy(const app::Build& build);

 private:
  boost::asio::io_context& io_;
  process::Children& children_;
  std::optional<app::RuntimeDir> folder_;
  std::uint64_t last_ = 0;
};

// Whether the content of a file is that of a whole ELF file.
bool is_whole(const std::string& content);

// Whether the file of the build, and the libraries beside it, are still as they were copied.
bool is_current(const app::Build& build);

}  // namespace sonicorn::supervisor
