#include "http/access_log.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "../app/temporary_folder.hpp"
#include "core/log.hpp"
#include "http/loop.hpp"

namespace sonicorn::http {
namespace {

using Json = nlohmann::json;

class NoExecutor final : public Executor {
 public:
  bool submit(std::unique_ptr<PoolCall>&) override { return false; }
  void submit_owed(std::unique_ptr<PoolCall>) override {}
};

using Folder = sonicorn::app::TemporaryFolder;

std::vector<Json> lines_in(const std::filesystem::path& file) {
  std::ifstream stream(file);
  std::vector<Json> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(Json::parse(line));
  return lines;
}

// A loop without apps, whose access log is in a file, and a client.
struct Logged {
  explicit Logged(const std::filesystem::path& path) {
    auto made = AccessLog::make(path, config::AccessLogFormat::json);
    REQUIRE(made.has_value());
    log = std::move(*made);
    loop.emplace(current, limits, executor, places, log.get());
    std::array<int, 2> ends{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) == 0);
    loop->adopt(ends[0], "unix");
    client = ends[1];
  }
  ~Logged() { ::close(client); }
  Logged(const Logged&) = delete;
  Logged& operator=(const Logged&) = delete;

  void say(std::string_view bytes) {
    REQUIRE(::send(client, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
    loop->serve_ready();
  }

  std::unique_ptr<AccessLog> log;
  routing::Router router;
  std::atomic<const routing::Router*> current{&router};
  config::Limits limits;
  NoExecutor executor;
  Places places;
  std::optional<Loop> loop;
  int client = -1;
};

TEST_CASE("each of several requests at once has its line, in order, when the thread is idle") {
  const Folder folder;
  Logged logged(folder / "log");
  logged.say(
      "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nHEAD /2 HTTP/1.1\r\nHost: a\r\n\r\n"
      "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
  const std::vector<Json> lines = lines_in(folder / "log");
  REQUIRE(lines.size() == 3);
  CHECK(lines[0]["request"] == "GET /1 HTTP/1.1");
  CHECK(lines[0]["status"] == 404);
  CHECK(lines[0]["bytes"].get<int>() > 0);
  CHECK(lines[0]["remote"] == "unix");
  CHECK(lines[0]["app"].is_null());
  CHECK(lines[1]["request"] == "HEAD /2 HTTP/1.1");
  CHECK(lines[1]["bytes"] == 0);
  CHECK(lines[2]["request"] == "OPTIONS * HTTP/1.1");
  CHECK(lines[2]["status"] == 204);
  CHECK(lines[0]["request_id"] != lines[1]["request_id"]);
}

TEST_CASE("the trace-id of a client is the request's id; one that is not valid is not") {
  const Folder folder;
  Logged logged(folder / "log");
  const std::string id = "4bf92f3577b34da6a3ce929d0e0e4736";
  logged.say("GET / HTTP/1.1\r\nHost: a\r\nTraceParent: 00-" + id + "-00f067aa0ba902b7-01\r\n\r\n");
  logged.say("GET / HTTP/1.1\r\nHost: a\r\nTraceParent: ff-" + id + "-00f067aa0ba902b7-01\r\n\r\n");
  const std::vector<Json> lines = lines_in(folder / "log");
  REQUIRE(lines.size() == 2);
  CHECK(lines[0]["request_id"] == id);
  CHECK(lines[1]["request_id"] != id);
  CHECK(lines[1]["request_id"].get<std::string>().size() == 32);
}

TEST_CASE("a request that makes no sense is told of as it came") {
  const Folder folder;
  Logged logged(folder / "log");
  logged.say("NONSENSE\r\n\r\n");
  const std::vector<Json> lines = lines_in(folder / "log");
  REQUIRE(lines.size() == 1);
  CHECK(lines[0]["request"] == "NONSENSE");
  CHECK(lines[0]["status"] == 400);
  CHECK(lines[0]["app"].is_null());
}

TEST_CASE("who is sent away for want of room has a line without a request") {
  const Folder folder;
  Logged logged(folder / "log");
  std::array<int, 2> ends{};
  REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) == 0);
  logged.say("GET / HT");
  logged.loop->queue(ends[0], "192.0.2.1");
  while (logged.loop->has_queued()) logged.loop->tick();
  const std::vector<Json> lines = lines_in(folder / "log");
  REQUIRE(lines.size() == 1);
  CHECK(lines[0]["remote"] == "192.0.2.1");
  CHECK(lines[0]["request"].is_null());
  CHECK(lines[0]["status"] == 503);
  ::close(ends[1]);
}

TEST_CASE("the last lines are written with the end of the loop") {
  const Folder folder;
  {
    Logged logged(folder / "log");
    std::array<int, 2> ends{};
    REQUIRE(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends.data()) == 0);
    ::shutdown(logged.client, SHUT_RDWR);
    logged.loop->serve_ready();
    logged.loop->queue(ends[0], "192.0.2.1");
    while (!logged.loop->shed_extra()) {
    }
    CHECK(lines_in(folder / "log").empty());
    ::close(ends[1]);
  }
  CHECK(lines_in(folder / "log").size() == 1);
}

TEST_CASE("a full disk costs lines, which are counted, and no request") {
  Logged logged("/dev/full");
  const std::uint64_t before = core::log::dropped_access_lines();
  int answered = 0;
  while (core::log::dropped_access_lines() == before) {
    logged.say("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    std::array<char, 4096> answer{};
    REQUIRE(::recv(logged.client, answer.data(), answer.size(), 0) > 0);
    ++answered;
  }
  CHECK(answered > 100);
}

TEST_CASE("an access log that cannot be opened is an error that says which") {
  const auto made = AccessLog::make("/nowhere/log", config::AccessLogFormat::common);
  REQUIRE_FALSE(made.has_value());
  CHECK(made.error().id == "host.log_file");
  CHECK(made.error().message ==
        "the access log /nowhere/log cannot be opened to write to: No such file or directory; name "
        "another file (--access-log)");
}

}  // namespace
}  // namespace sonicorn::http
