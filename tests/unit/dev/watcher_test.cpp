#include "dev/watcher.hpp"

#include <doctest/doctest.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <filesystem>
#include <string>

#include "../app/temporary_folder.hpp"

namespace sonicorn::dev {
namespace {

using app::TemporaryFolder;
namespace fs = std::filesystem;

// A watched folder with a build folder, and the changes that were told.
class Watched {
 public:
  Watched() {
    fs::create_directories(folder_ / "source/deep");
    fs::create_directories(folder_ / "out");
    fs::create_directories(folder_ / "other");
    folder_.write("other/CMakeCache.txt", "");
    REQUIRE(watcher_.start().has_value());
  }

  const TemporaryFolder& folder() const { return folder_; }

  // The next change; empty when none comes.
  std::string next() {
    told_.clear();
    boost::asio::steady_timer limit(io_, std::chrono::seconds(20));
    limit.async_wait([this](boost::system::error_code error) {
      if (!error) io_.stop();
    });
    io_.restart();
    io_.run();
    return told_;
  }

 private:
  TemporaryFolder folder_;
  boost::asio::io_context io_;
  std::string told_;
  Watcher watcher_{io_, folder_.path(), folder_ / "out", [this](const fs::path& file) {
                     told_ = file.string();
                     io_.stop();
                   }};
};

TEST_CASE("editors, databases and build folders change nothing of a project's sources") {
  for (const char* file : {".hidden", ".hello.c.swp", "hello.c~", "#hello.c#", ".#hello.c", "4913",
                           "x.tmp", "server.log", "todo.db", "todo.db-wal"}) {
    CAPTURE(file);
    CHECK(is_ignored(file, false));
  }
  for (const char* folder : {".git", ".cache", "build", "build-test", "cmake-build-debug"}) {
    CAPTURE(folder);
    CHECK(is_ignored(folder, true));
  }
}

TEST_CASE("sources are looked at, whatever they are called") {
  for (const char* file : {"hello.c", "build", "CMakeLists.txt", "page.html", "build.cpp"}) {
    CAPTURE(file);
    CHECK_FALSE(is_ignored(file, false));
  }
  CHECK_FALSE(is_ignored("source", true));
  CHECK_FALSE(is_ignored("builders", true));
}

TEST_CASE("a file that is written, moved into place or removed is a change, however deep it is") {
  Watched watched;
  watched.folder().write("source/deep/a.c", "1");
  CHECK(watched.next() == "source/deep/a.c");
  watched.folder().write("a.c~", "2");
  fs::rename(watched.folder() / "a.c~", watched.folder() / "a.c");
  CHECK(watched.next() == "a.c");
  fs::remove(watched.folder() / "a.c");
  CHECK(watched.next() == "a.c");
}

TEST_CASE("a new folder is watched, too") {
  Watched watched;
  fs::create_directory(watched.folder() / "new");
  CHECK(watched.next() == "new");
  watched.folder().write("new/a.c", "1");
  CHECK(watched.next() == "new/a.c");
}

TEST_CASE("what is built is no change") {
  Watched watched;
  watched.folder().write("source/a.c", "1");
  // The last change would be told.
  watched.folder().write("out/a.o", "1");
  watched.folder().write("other/a.o", "1");
  watched.folder().write("a.log", "1");
  CHECK(watched.next() == "source/a.c");
}

TEST_CASE("a folder that is not there cannot be watched") {
  const TemporaryFolder folder;
  boost::asio::io_context io;
  Watcher watcher(io, folder / "missing", folder / "out", [](const fs::path&) {});
  const auto started = watcher.start();
  REQUIRE(started.has_error());
  CHECK(started.error().id == "host.watch");
  CHECK(started.error().message.find("missing") != std::string::npos);
}

}  // namespace
}  // namespace sonicorn::dev
