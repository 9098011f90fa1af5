#include "supervisor/file_watch.hpp"

#include <doctest/doctest.h>

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "../app/temporary_folder.hpp"

namespace sonicorn::supervisor {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr auto kQuiet = 20ms;
constexpr auto kPatience = 20s;

void write(const fs::path& file, const std::string& content) {
  std::ofstream(file, std::ios::binary) << content;
}

// Complete is what ends in a full stop.
class Watched {
 public:
  explicit Watched(const fs::path& file) : file_(file) { watch_.watch({{file, {}}}); }

  // Runs until a change is told; false when none is for a long time.
  bool is_told() {
    const std::size_t before = told_.size();
    const auto deadline = Clock::now() + kPatience;
    io_.restart();
    while (told_.size() == before && Clock::now() < deadline) io_.run_one_for(kQuiet);
    return told_.size() == before + 1 && told_.back() == file_;
  }
  // Runs for some looks, in which nothing is to be told.
  bool is_quiet(int looks = 5) {
    const std::size_t before = told_.size();
    io_.restart();
    io_.run_for(kQuiet * looks);
    return told_.size() == before;
  }
  FileWatch& watch() { return watch_; }
  boost::asio::io_context& io() { return io_; }
  std::size_t told() const { return told_.size(); }

 private:
  fs::path file_;
  boost::asio::io_context io_;
  std::vector<fs::path> told_;
  FileWatch watch_{io_, [this](const fs::path& file) { told_.push_back(file); },
                   [](const std::string& content) { return content.ends_with('.'); }, kQuiet};
};

TEST_CASE("a file is told of when it was written in place, or another one has its name") {
  const app::TemporaryFolder folder;
  write(folder / "file", "one.");
  Watched watched(folder / "file");
  CHECK(watched.is_told());  // for it is not what its copy is: there is none
  write(folder / "file", "two.");
  CHECK(watched.is_told());
  write(folder / "fresh", "three.");
  fs::rename(folder / "fresh", folder / "file");
  CHECK(watched.is_told());
  fs::remove(folder / "file");
  CHECK(watched.is_quiet());
  write(folder / "file", "four.");
  CHECK(watched.is_told());
}

TEST_CASE("what is as it was is not told of") {
  const app::TemporaryFolder folder;
  write(folder / "file", "one.");
  write(folder / "copy", "one.");
  Watched watched(folder / "file");
  watched.watch().watch({{folder / "file", folder / "copy"}});
  REQUIRE(watched.is_told());
  write(folder / "file", "one.");
  fs::last_write_time(folder / "file", fs::file_time_type::clock::now());
  CHECK(watched.is_quiet());
}

TEST_CASE("one that is written in pieces is told of once, when it is whole") {
  const app::TemporaryFolder folder;
  write(folder / "file", "one.");
  Watched watched(folder / "file");
  REQUIRE(watched.is_told());
  std::ofstream stream(folder / "file", std::ios::binary);
  for (const char* const piece : {"two", " and", " three"}) {
    stream << piece << std::flush;
    CHECK(watched.is_quiet(4));
  }
  stream << " and four." << std::flush;
  CHECK(watched.is_told());
  CHECK(watched.is_quiet());
}

TEST_CASE("one that stays incomplete is told of in the end") {
  const app::TemporaryFolder folder;
  write(folder / "file", "one.");
  Watched watched(folder / "file");
  REQUIRE(watched.is_told());
  write(folder / "file", "two");
  CHECK(watched.is_told());
}

TEST_CASE("one that keeps changing is not told of before it rests") {
  const app::TemporaryFolder folder;
  write(folder / "file", "one.");
  Watched watched(folder / "file");
  REQUIRE(watched.is_told());
  const std::size_t before = watched.told();
  const auto until = Clock::now() + kQuiet * 10;
  for (int i = 0; Clock::now() < until; ++i) {
    write(folder / "file", std::to_string(i) + ".");
    watched.io().poll_one();
  }
  CHECK(watched.told() == before);
  CHECK(watched.is_told());
}

TEST_CASE("who writes to its folder all the time keeps nobody from seeing the file") {
  const app::TemporaryFolder folder;
  write(folder / "file", "one.");
  Watched watched(folder / "file");
  REQUIRE(watched.is_told());
  const std::size_t before = watched.told();
  write(folder / "file", "two.");
  const auto deadline = Clock::now() + kPatience;
  while (watched.told() == before && Clock::now() < deadline) {
    write(folder / "log", "noise");
    write(folder / "file", "two.");
    watched.io().poll_one();
  }
  CHECK(watched.told() == before + 1);
}

TEST_CASE("a link on the way that is turned is a change, also one of a folder") {
  const app::TemporaryFolder folder;
  for (const char* const release : {"1", "2"}) {
    fs::create_directories(folder / "releases" / release);
    write(folder / "releases" / release / "file", std::string(release) + ".");
  }
  fs::create_directory(folder / "site");
  fs::create_directory_symlink("../releases/1", folder / "site" / "current");
  fs::create_symlink("current/file", folder / "site" / "link");
  Watched watched(folder / "site" / "link");
  REQUIRE(watched.is_told());
  fs::create_directory_symlink("../releases/2", folder / "site" / "fresh");
  fs::rename(folder / "site" / "fresh", folder / "site" / "current");
  CHECK(watched.is_told());
  write(folder / "releases" / "1" / "file", "not looked at.");
  CHECK(watched.is_quiet());
  write(folder / "releases" / "2" / "file", "two.");
  CHECK(watched.is_told());
}

TEST_CASE("a folder that is removed and made again is watched again") {
  const app::TemporaryFolder folder;
  fs::create_directory(folder / "build");
  write(folder / "build" / "file", "one.");
  Watched watched(folder / "build" / "file");
  REQUIRE(watched.is_told());
  fs::remove_all(folder / "build");
  CHECK(watched.is_quiet());
  fs::create_directory(folder / "build");
  write(folder / "build" / "file", "two.");
  CHECK(watched.is_told());
  write(folder / "build" / "file", "three.");
  CHECK(watched.is_told());
}

TEST_CASE("who has stopped can watch again") {
  const app::TemporaryFolder folder;
  write(folder / "file", "one.");
  Watched watched(folder / "file");
  REQUIRE(watched.is_told());
  watched.watch().stop();
  write(folder / "file", "two.");
  CHECK(watched.is_quiet());
  watched.watch().watch({{folder / "file", {}}});
  REQUIRE(watched.is_told());
  write(folder / "file", "three.");
  CHECK(watched.is_told());
}

}  // namespace
}  // namespace sonicorn::supervisor
