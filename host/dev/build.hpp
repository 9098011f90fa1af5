#pragma once

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "dev/command.hpp"
#include "process/child.hpp"

namespace sonicorn::dev {

// What came of a build.
struct BuildEnd {
  bool ok = false;
  std::string title;   // "It does not compile", where it is not ok
  std::string output;  // of CMake and of the compiler, both streams; the beginning of it
  std::chrono::milliseconds time{0};
};

// Configures and builds a CMake project. For the thread of `io`.
class Build {
 public:
  // `folder` has a CMakeLists.txt; what is built is in `build_folder`, Debug unless it was
  // configured before. Where that is not, either, the build finds the SDK in `sdk_dir`, if there is
  // one.
  Build(boost::asio::io_context& io, process::Children& children, std::filesystem::path folder,
        std::filesystem::path build_folder, std::filesystem::path sdk_dir);

  // Builds what has changed. `done` is called once, never by this function. REQUIRES: not
  // is_running().
  void run(std::function<void(BuildEnd)> done);

  bool is_running() const { return command_ != nullptr; }

  // To all processes of the build that runs, if one does.
  void send_signal(int signal) const;

 private:
  void configure();
  void compile();
  void start(std::vector<std::string> argv, std::string title, std::function<void()> next);
  void finish(bool ok, std::string title);

  boost::asio::io_context& io_;
  process::Children& children_;
  std::filesystem::path folder_;
  std::filesystem::path build_folder_;
  std::filesystem::path sdk_dir_;
  bool is_configured_ = false;
  std::chrono::steady_clock::time_point begun_;
  BuildEnd end_;
  std::function<void(BuildEnd)> done_;
  std::shared_ptr<Command> command_;
};

// Asks CMake to say, when it configures this build folder, what it makes of it. False: the folder
// cannot be written to.
bool ask_for_targets(const std::filesystem::path& build_folder);

// The apps that the configured build makes and that are there: modules with the mark of an app, in
// the order of their targets' names. Runs no code of them.
std::vector<std::filesystem::path> apps_of_build(const std::filesystem::path& build_folder);

}  // namespace sonicorn::dev
