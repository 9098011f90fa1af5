#include "core/line_writer.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <fstream>
#include <iterator>
#include <string>
#include <thread>
#include <vector>

#include "../app/temporary_folder.hpp"

namespace sonicorn::core {
namespace {

using Way = Outlet::Way;
using std::chrono::milliseconds;
using std::chrono::seconds;

// A stuck writer would hang the test, which has a limit.
constexpr seconds kPatience{30};
constexpr int kPatienceMs = 30'000;

using Folder = sonicorn::app::TemporaryFolder;

std::string content(const std::filesystem::path& file) {
  std::ifstream stream(file);
  return {std::istreambuf_iterator<char>(stream), {}};
}

// A writer that tries again has, for a moment, a part of a line in it, which it takes back.
bool comes_to_hold_whole_lines(const std::filesystem::path& file) {
  const auto limit = std::chrono::steady_clock::now() + kPatience;
  while (!content(file).ends_with("\n")) {
    if (std::chrono::steady_clock::now() > limit) return false;
    std::this_thread::yield();
  }
  return true;
}

// A pipe, or a pair of sockets, whose reader is this test.
struct Channel {
  explicit Channel(Way way) {
    std::array<int, 2> ends{};
    if (way == Way::send) {
      REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) == 0);
    } else {
      REQUIRE(::pipe2(ends.data(), O_CLOEXEC) == 0);
    }
    reader = ends[0];
    writer = ends[1];
  }
  ~Channel() {
    close_reader();
    ::close(writer);
  }
  Channel(const Channel&) = delete;
  Channel& operator=(const Channel&) = delete;

  void close_reader() {
    if (reader >= 0) ::close(std::exchange(reader, -1));
  }

  // Reads until `end` has come.
  std::string read_until(std::string_view end) const {
    std::string text;
    while (text.find(end) == std::string::npos) {
      pollfd there{reader, POLLIN, 0};
      REQUIRE(::poll(&there, 1, kPatienceMs) == 1);
      std::array<char, 4096> some{};
      const ssize_t count = ::read(reader, some.data(), some.size());
      REQUIRE(count > 0);
      text.append(some.data(), static_cast<std::size_t>(count));
    }
    return text;
  }

  int reader = -1;
  int writer = -1;
};

std::string note(std::uint64_t lines) { return "dropped " + std::to_string(lines) + "\n"; }

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    REQUIRE(end != std::string::npos);
    lines.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return lines;
}

// A line of 100 bytes that says its number.
std::string numbered(int number) {
  std::string line = std::to_string(number) + " ";
  line.resize(99, '.');
  return line + "\n";
}

TEST_CASE("a line is in the file when write returns") {
  const Folder folder;
  std::atomic<std::uint64_t> dropped{0};
  LineWriter writer(std::make_unique<Outlet>(STDERR_FILENO), dropped, &note);
  REQUIRE(writer.open(folder / "log").has_value());
  writer.write("one\n");
  CHECK(content(folder / "log") == "one\n");
  writer.write("two\nthree\n");
  CHECK(content(folder / "log") == "one\ntwo\nthree\n");
  CHECK(dropped == 0);
}

TEST_CASE("a reader that is stuck holds nobody up, and hears what it missed when it goes on") {
  for (const Way way : {Way::no_wait, Way::reopened, Way::polled, Way::send}) {
    CAPTURE(static_cast<int>(way));
    const Channel channel(way);
    std::atomic<std::uint64_t> dropped{0};
    // A way of its own is taken by an outlet itself; here it begins with it.
    auto outlet =
        way == Way::reopened
            ? Outlet::open("/proc/self/fd/" + std::to_string(channel.writer))
            : Result<std::unique_ptr<Outlet>>(std::make_unique<Outlet>(channel.writer, way));
    REQUIRE(outlet.has_value());
    LineWriter writer(std::move(*outlet), dropped, &note);
    int written = 0;
    while (dropped < 100) writer.write(numbered(written++));
    CHECK((::fcntl(channel.writer, F_GETFL) & O_NONBLOCK) == 0);
    const std::string text = channel.read_until("dropped 100\n");
    const std::vector<std::string> lines = lines_of(text);
    REQUIRE(lines.size() == static_cast<std::size_t>(written) - 100 + 1);
    for (std::size_t i = 0; i + 1 < lines.size(); ++i) {
      CHECK(lines[i] + "\n" == numbered(static_cast<int>(i)));
    }
    CHECK(writer.flush(kPatience));
    writer.write("after\n");
    CHECK(channel.read_until("after\n") == "after\n");
    CHECK(dropped == 100);
  }
}

TEST_CASE("a reader that is only slow misses nothing") {
  const Channel channel(Way::no_wait);
  std::atomic<std::uint64_t> dropped{0};
  LineWriter writer(std::make_unique<Outlet>(channel.writer), dropped, &note);
  // More than a pipe holds.
  const int count = 2000;
  for (int i = 0; i < count; ++i) writer.write(numbered(i));
  writer.write("last\n");
  const std::vector<std::string> lines = lines_of(channel.read_until("last\n"));
  CHECK(lines.size() == count + 1);
  CHECK(dropped == 0);
}

TEST_CASE("of a line that is longer than a pipe the rest follows") {
  const Channel channel(Way::no_wait);
  std::atomic<std::uint64_t> dropped{0};
  LineWriter writer(std::make_unique<Outlet>(channel.writer), dropped, &note);
  const std::string line = std::string(200'000, 'x') + "\n";
  writer.write(line);
  writer.write("next\n");
  CHECK(channel.read_until("next\n") == line + "next\n");
  CHECK(dropped == 0);
}

TEST_CASE("a full disk holds nobody up, and what was kept is written when there is room") {
  const Folder folder;
  std::atomic<std::uint64_t> dropped{0};
  LineWriter writer(std::make_unique<Outlet>(STDERR_FILENO), dropped, &note);
  REQUIRE(writer.open("/dev/full").has_value());
  int written = 0;
  while (dropped < 10) writer.write(numbered(written++));
  CHECK(static_cast<std::size_t>(written - 10) == LineWriter::kMostKept / 100);
  CHECK_FALSE(writer.flush(milliseconds(0)));
  REQUIRE(writer.open(folder / "log").has_value());
  CHECK(writer.flush(kPatience));
  const std::vector<std::string> lines = lines_of(content(folder / "log"));
  REQUIRE(lines.size() == static_cast<std::size_t>(written) - 10 + 1);
  CHECK(lines.front() + "\n" == numbered(0));
  CHECK(lines.back() == "dropped 10");
}

TEST_CASE("what is given up is dropped, and told") {
  std::atomic<std::uint64_t> dropped{0};
  std::uint64_t told = 0;
  LineWriter writer(std::make_unique<Outlet>(STDERR_FILENO), dropped, [&](std::uint64_t lines) {
    told += lines;
    return std::string();
  });
  REQUIRE(writer.open("/dev/full").has_value());
  for (int i = 0; i < 3; ++i) writer.write(numbered(i));
  CHECK_FALSE(writer.flush(milliseconds(10)));
  writer.give_up();
  CHECK(told == 3);
  CHECK(dropped == 3);
  CHECK(writer.flush(milliseconds(0)));
}

TEST_CASE("a line for which there is no room does not begin in a file that others write to") {
  std::signal(SIGXFSZ, SIG_IGN);
  const Folder folder;
  std::atomic<std::uint64_t> dropped{0};
  LineWriter one(std::make_unique<Outlet>(STDERR_FILENO), dropped, &note);
  LineWriter other(std::make_unique<Outlet>(STDERR_FILENO), dropped, &note);
  REQUIRE(one.open(folder / "log").has_value());
  REQUIRE(other.open(folder / "log").has_value());
  rlimit before{};
  REQUIRE(::getrlimit(RLIMIT_FSIZE, &before) == 0);
  rlimit full = before;
  full.rlim_cur = 350;
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &full) == 0);
  for (int i = 0; i < 3; ++i) {
    one.write(numbered(2 * i) + numbered(2 * i + 1));
    other.write("short\n");
  }
  const bool whole_while_full = comes_to_hold_whole_lines(folder / "log");
  REQUIRE(::setrlimit(RLIMIT_FSIZE, &before) == 0);
  CHECK(one.flush(kPatience));
  CHECK(other.flush(kPatience));
  CHECK(whole_while_full);
  const std::vector<std::string> lines = lines_of(content(folder / "log"));
  CHECK(std::count(lines.begin(), lines.end(), "short") == 3);
  for (int i = 0; i < 6; ++i) {
    CHECK(std::count(lines.begin(), lines.end(), numbered(i).substr(0, 99)) == 1);
  }
  CHECK(lines.size() == 9);
  CHECK(dropped == 0);
}

TEST_CASE("without a reader lines are dropped at once, and the next reader is told") {
  std::signal(SIGPIPE, SIG_IGN);
  const Folder folder;
  const std::filesystem::path path = folder / "fifo";
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  int reader = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  std::atomic<std::uint64_t> dropped{0};
  LineWriter writer(std::make_unique<Outlet>(STDERR_FILENO), dropped, &note);
  REQUIRE(writer.open(path).has_value());
  ::close(reader);
  writer.write("one\n");
  writer.write("two\nthree\n");
  CHECK(dropped == 3);
  CHECK(writer.flush(milliseconds(0)));
  reader = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  writer.write("four\n");
  std::array<char, 64> text{};
  const ssize_t count = ::read(reader, text.data(), text.size());
  CHECK(std::string(text.data(), static_cast<std::size_t>(std::max<ssize_t>(count, 0))) ==
        "four\ndropped 3\n");
  CHECK(dropped == 3);
  ::close(reader);
}

TEST_CASE("a closed descriptor is no more than lines that are dropped") {
  std::atomic<std::uint64_t> dropped{0};
  const int fd = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  ::close(fd);
  LineWriter writer(std::make_unique<Outlet>(fd), dropped, &note);
  writer.write("one\n");
  CHECK(dropped == 1);
}

TEST_CASE("a file that was renamed is written to until it is opened again") {
  const Folder folder;
  std::atomic<std::uint64_t> dropped{0};
  LineWriter writer(std::make_unique<Outlet>(STDERR_FILENO), dropped, &note);
  REQUIRE(writer.open(folder / "log").has_value());
  writer.write("one\n");
  std::filesystem::rename(folder / "log", folder / "log.1");
  writer.write("two\n");
  REQUIRE(writer.reopen().has_value());
  writer.write("three\n");
  CHECK(content(folder / "log.1") == "one\ntwo\n");
  CHECK(content(folder / "log") == "three\n");
  struct stat found {};
  REQUIRE(::stat((folder / "log").c_str(), &found) == 0);
  CHECK((found.st_mode & 0777 & ~0640) == 0);
}

TEST_CASE("a file that cannot be opened again leaves the old one in use") {
  const Folder folder;
  std::filesystem::create_directory(folder / "logs");
  std::atomic<std::uint64_t> dropped{0};
  LineWriter writer(std::make_unique<Outlet>(STDERR_FILENO), dropped, &note);
  REQUIRE(writer.open(folder / "logs/log").has_value());
  std::filesystem::rename(folder / "logs", folder / "moved");
  const auto reopened = writer.reopen();
  REQUIRE_FALSE(reopened.has_value());
  CHECK(reopened.error().id == "host.log_file");
  CHECK(reopened.error().message.find((folder / "logs/log").string()) == 0);
  writer.write("one\n");
  CHECK(content(folder / "moved/log") == "one\n");
}

TEST_CASE("the rest of a torn line does not begin the next file") {
  const Folder folder;
  const std::filesystem::path path = folder / "fifo";
  REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
  const int reader = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  std::atomic<std::uint64_t> dropped{0};
  LineWriter writer(std::make_unique<Outlet>(STDERR_FILENO), dropped, &note);
  REQUIRE(writer.open(path).has_value());
  writer.write(std::string(200'000, 'x') + "\n");
  writer.write("whole\n");
  REQUIRE(writer.open(folder / "log").has_value());
  CHECK(writer.flush(kPatience));
  CHECK(content(folder / "log") == "whole\ndropped 1\n");
  CHECK(dropped == 1);
  ::close(reader);
}

TEST_CASE("opening again where nothing was opened is nothing") {
  std::atomic<std::uint64_t> dropped{0};
  LineWriter writer(std::make_unique<Outlet>(STDERR_FILENO), dropped, &note);
  CHECK(writer.reopen().has_value());
}

}  // namespace
}  // namespace sonicorn::core
