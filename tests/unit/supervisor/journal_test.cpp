#include "supervisor/journal.hpp"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <string>

#include "../app/temporary_folder.hpp"

namespace sonicorn::supervisor {
namespace {

using Json = nlohmann::json;

std::string read(const std::filesystem::path& file) {
  std::ifstream stream(file);
  return {std::istreambuf_iterator<char>(stream), {}};
}

Journal::Entry entry(const char* event, const char* app = "a") {
  return {.event = event, .app = app, .worker = 0, .generation = 2, .build_id = "0123456789"};
}

TEST_CASE("a journal in memory pairs begins with ends") {
  Journal journal;
  const auto load = journal.begin(entry("load"));
  const auto start = journal.begin(entry("start", "b"));
  journal.note(entry("crash"), Journal::failed("SIGSEGV"));
  journal.end(load, Journal::kOk);
  journal.end(load, Journal::kAbandoned);  // ended once
  journal.end(999, Journal::kOk);          // not known
  const Json all = journal.history("", 10);
  REQUIRE(all.size() == 3);
  CHECK(all[0]["result"] == "ok");
  CHECK(all[0]["end"].is_string());
  CHECK(all[1]["sequence"] == start);
  CHECK(all[1]["end"].is_null());
  CHECK(all[1]["result"] == "under way");
  CHECK(all[2]["result"] == "failed: SIGSEGV");
  CHECK(journal.history("b", 10).size() == 1);
  CHECK(journal.history("", 1)[0]["event"] == "crash");
}

TEST_CASE("who reads something else is not told to remove it") {
  const app::TemporaryFolder folder;
  std::ofstream(folder / "text") << "no journal\n";
  const auto journal = Journal::read(folder / "text");
  REQUIRE_FALSE(journal.has_value());
  CHECK(journal.error().message.find("this is no journal") != std::string::npos);
  CHECK(journal.error().message.find("remove") == std::string::npos);
  CHECK(read(folder / "text") == "no journal\n");
  CHECK_FALSE(Journal::read(folder / "missing").has_value());
}

TEST_CASE("what a killed server had begun is not finished, and the sequence goes on") {
  const app::TemporaryFolder folder;
  const auto path = folder / "journal";
  const pid_t child = ::fork();
  if (child == 0) {
    Journal journal;
    if (!journal.open(path)) ::_exit(1);
    journal.end(journal.begin(entry("start")), Journal::kOk);
    journal.begin(entry("shutdown"));
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFSIGNALED(status));
  { std::ofstream(path, std::ios::app) << "{\"sequence\":4,\"ti"; }  // torn
  Journal journal;
  REQUIRE(journal.open(path).has_value());
  CHECK(read(path).ends_with("}\n"));
  const Json all = journal.history("a", 10);
  REQUIRE(all.size() == 2);
  CHECK(all[0]["result"] == "ok");
  CHECK(all[0]["server"] == child);
  CHECK(all[1]["result"] == "not finished");
  CHECK(all[1]["build_id"] == "0123456789");
  CHECK(journal.begin(entry("start")) == 4);
}

TEST_CASE("lines that are none are skipped, and a file that is no journal is left alone") {
  const app::TemporaryFolder folder;
  {
    Journal journal;
    REQUIRE(journal.open(folder / "journal").has_value());
    journal.note(entry("ready"));
    Journal second;
    const auto taken = second.open(folder / "journal");
    REQUIRE(!taken.has_value());
    CHECK(taken.error().id == "host.journal_taken");
  }
  {
    std::ofstream(folder / "journal", std::ios::app)
        << "nonsense\n[]\n{\"sequence\":-1,\"phase\":\"begin\",\"event\":\"x\"}\n"
        << "{\"sequence\":\"7\",\"phase\":7}\n\n";
  }
  Journal journal;
  REQUIRE(journal.open(folder / "journal").has_value());
  CHECK(journal.history("", 10).size() == 1);
  const auto other = folder.write("other", "precious");
  Journal refused;
  CHECK(!refused.open(other).has_value());
  refused.note(entry("ready"));
  CHECK(read(other) == "precious");
  CHECK(refused.lost() == 1);
  CHECK(refused.history("", 10).size() == 1);
}

TEST_CASE("a file that is too large loses its older half, but nothing that is not finished") {
  const app::TemporaryFolder folder;
  const auto path = folder / "journal";
  {
    Journal journal({.bytes = 4'000});
    REQUIRE(journal.open(path).has_value());
    journal.begin(entry("serve"));
    for (int i = 0; i < 200; ++i) {
      journal.note(entry("ready"));
      REQUIRE(std::filesystem::file_size(path) <= 4'000);
    }
    CHECK(journal.lost() == 0);
    CHECK(!std::filesystem::exists(folder / "journal.new"));
  }
  Journal journal;
  REQUIRE(journal.open(path).has_value());
  const Json all = journal.history("", 1'000);
  CHECK(all.size() < 30);
  CHECK(all[0]["event"] == "serve");
  CHECK(all[0]["result"] == "not finished");
  CHECK(all.back()["sequence"] == 201);
}

TEST_CASE("memory is bounded, and what has not ended stays in it") {
  Journal journal({.events = 5});
  const auto serve = journal.begin(entry("serve"));
  for (int i = 0; i < 50; ++i) journal.note(entry("ready"));
  journal.end(serve, Journal::kOk);
  const Json all = journal.history("", 100);
  CHECK(all.size() == 5);
  CHECK(all[0]["event"] == "serve");
  CHECK(all[0]["result"] == "ok");
}

TEST_CASE("a file that cannot be had, or is removed, is gone on with as soon as it can be") {
  const app::TemporaryFolder folder;
  const auto path = folder / "late/journal";
  Journal journal({.retry = std::chrono::milliseconds(0)});
  CHECK(!journal.open(path).has_value());
  journal.note(entry("ready"));
  CHECK(journal.lost() == 1);
  std::filesystem::create_directory(folder / "late");
  journal.note(entry("ready"));
  CHECK(journal.lost() == 1);
  CHECK(!read(path).empty());
  std::filesystem::remove(path);
  journal.note(entry("crash"));
  CHECK(read(path).find("crash") != std::string::npos);
  CHECK(journal.history("", 10).size() == 3);
}

TEST_CASE("a full disk is counted, and the events are in memory") {
  // What a process may write to a file is the disk that it can fill.
  const app::TemporaryFolder folder;
  const pid_t child = ::fork();
  if (child == 0) {
    std::signal(SIGXFSZ, SIG_IGN);
    Journal journal({.retry = std::chrono::milliseconds(0)});
    if (!journal.open(folder / "journal")) ::_exit(2);
    journal.note(entry("ready"));
    const auto size = std::filesystem::file_size(folder / "journal");
    const rlimit tight{size + 10, RLIM_INFINITY};
    ::setrlimit(RLIMIT_FSIZE, &tight);
    journal.note(entry("crash"));
    if (journal.lost() != 1 || journal.history("", 9).size() != 2) ::_exit(3);
    if (std::filesystem::file_size(folder / "journal") != size) ::_exit(4);
    const rlimit wide{RLIM_INFINITY, RLIM_INFINITY};
    ::setrlimit(RLIMIT_FSIZE, &wide);
    journal.note(entry("ready"));
    ::_exit(journal.lost() == 1 && std::filesystem::file_size(folder / "journal") > size ? 0 : 5);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  CHECK(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}

}  // namespace
}  // namespace sonicorn::supervisor
