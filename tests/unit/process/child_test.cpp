#include "process/child.hpp"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <utility>

#include "signalled_children.hpp"

namespace sonicorn::process {
namespace {

// The end of a pipe whose other end reads what a child writes.
class Output {
 public:
  Output() { REQUIRE(::pipe2(ends_, O_CLOEXEC) == 0); }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;
  ~Output() {
    ::close(ends_[0]);
    if (ends_[1] >= 0) ::close(ends_[1]);
  }
  int writing() const { return ends_[1]; }
  // All that is written until every writer is gone.
  std::string read() {
    ::close(std::exchange(ends_[1], -1));
    std::string text;
    char buffer[4096];
    // The end of a child is a signal, which interrupts this.
    for (ssize_t got;
         (got = ::read(ends_[0], buffer, sizeof buffer)) > 0 || (got < 0 && errno == EINTR);) {
      if (got > 0) text.append(buffer, static_cast<std::size_t>(got));
    }
    return text;
  }

 private:
  int ends_[2] = {-1, -1};
};

SpawnRequest shell(const std::string& script) {
  SpawnRequest request;
  request.argv = {"/bin/sh", "-c", script};
  return request;
}

// What a script writes.
std::string output_of(SpawnRequest request) {
  Loop loop;
  Output output;
  request.output = output.writing();
  const auto child = loop.children.spawn(request);
  REQUIRE_MESSAGE(child.has_value(), child.error().message);
  bool ended = false;
  loop.children.watch(*child, [&](int) { ended = true; });
  std::string text = output.read();
  CHECK(loop.run_until([&] { return ended; }));
  return text;
}

TEST_CASE("a watcher is told how its child ended") {
  Loop loop;
  std::map<std::string, int> ends;
  const std::pair<const char*, const char*> scripts[] = {
      {"well", "exit 0"}, {"badly", "exit 3"}, {"killed", "kill -SEGV $$"}};
  for (const auto& [name, script] : scripts) {
    const auto child = loop.children.spawn(shell(script));
    REQUIRE(child.has_value());
    loop.children.watch(*child,
                        [&ends, key = std::string(name)](int status) { ends[key] = status; });
  }
  REQUIRE(loop.run_until([&] { return ends.size() == 3; }));
  CHECK(WIFEXITED(ends["well"]));
  CHECK(WEXITSTATUS(ends["badly"]) == 3);
  CHECK(WTERMSIG(ends["killed"]) == SIGSEGV);
}

TEST_CASE("of many children that end at once none is lost") {
  Loop loop;
  constexpr int kMany = 50;
  int ended = 0;
  for (int i = 0; i < kMany; ++i) {
    const auto child = loop.children.spawn(shell("exit 0"));
    REQUIRE(child.has_value());
    loop.children.watch(*child, [&](int) { ++ended; });
  }
  CHECK(loop.run_until([&] { return ended == kMany; }));
}

TEST_CASE("a child that nobody watches is reaped all the same") {
  Loop loop;
  const auto unwatched = loop.children.spawn(shell("exit 0"));
  const auto forgotten = loop.children.spawn(shell("exit 0"));
  REQUIRE(unwatched.has_value());
  REQUIRE(forgotten.has_value());
  bool told = false;
  loop.children.watch(*forgotten, [&](int) { told = true; });
  loop.children.forget(*forgotten);
  CHECK(loop.run_until([&] { return ::kill(*unwatched, 0) != 0 && ::kill(*forgotten, 0) != 0; }));
  CHECK_FALSE(told);
}

TEST_CASE("a watcher may start the next child") {
  Loop loop;
  int ended = 0;
  std::function<void(int)> again = [&](int) {
    if (++ended == 3) return;
    const auto child = loop.children.spawn(shell("exit 0"));
    REQUIRE(child.has_value());
    loop.children.watch(*child, again);
  };
  const auto child = loop.children.spawn(shell("exit 0"));
  REQUIRE(child.has_value());
  loop.children.watch(*child, again);
  CHECK(loop.run_until([&] { return ended == 3; }));
}

TEST_CASE("a child has the descriptors that it is to have, and no others") {
  Output kept;
  Output other;
  // As one that this process got from its own parent.
  const int leaking = ::fcntl(other.writing(), F_DUPFD, 100);
  // No pipeline, whose descriptors the shell would have for a moment; and a child, not ls itself.
  SpawnRequest request = shell("ls -1 /proc/$$/fd; :");
  request.inherited = {kept.writing()};
  std::istringstream lines(output_of(request));
  std::set<int> found;
  for (int descriptor = 0; lines >> descriptor;) found.insert(descriptor);
  CHECK(found == std::set<int>{0, 1, 2, kept.writing()});
  ::close(leaking);
  // It stays closed on exec in this process.
  CHECK((::fcntl(kept.writing(), F_GETFD) & FD_CLOEXEC) != 0);
}

TEST_CASE("a child begins with no signal blocked or ignored, in a process group of its own") {
  sigset_t set;
  ::sigemptyset(&set);
  ::sigaddset(&set, SIGUSR1);
  REQUIRE(::pthread_sigmask(SIG_BLOCK, &set, nullptr) == 0);
  std::signal(SIGUSR2, SIG_IGN);
  const std::string text = output_of(
      shell("grep -E '^Sig(Blk|Ign):' /proc/self/status; cut -d' ' -f5 /proc/$$/stat; echo $$"));
  std::signal(SIGUSR2, SIG_DFL);
  ::pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  CAPTURE(text);
  CHECK(text.starts_with("SigBlk:\t0000000000000000\nSigIgn:\t"));
  // The C library leaves its own two, 32 and 33, ignored until it needs them.
  const std::uint64_t ignored = std::stoull(text.substr(text.find("SigIgn:") + 7), nullptr, 16);
  CHECK((ignored & ~std::uint64_t{0x180000000}) == 0);
  const std::string ids = text.substr(text.find('\n', text.find('\n') + 1) + 1);
  const std::string group = ids.substr(0, ids.find('\n'));
  CHECK(ids == group + "\n" + group + "\n");
}

TEST_CASE("variables are added to the environment, or replaced in it") {
  ::setenv("SONICORN_UNIT_OLD", "old", 1);
  ::setenv("SONICORN_UNIT_KEPT", "kept", 1);
  SpawnRequest request = shell("echo $SONICORN_UNIT_OLD $SONICORN_UNIT_KEPT $SONICORN_UNIT_NEW");
  request.environment = {{"SONICORN_UNIT_OLD", "new"}, {"SONICORN_UNIT_NEW", "added"}};
  CHECK(output_of(request) == "new kept added\n");
  ::unsetenv("SONICORN_UNIT_OLD");
  ::unsetenv("SONICORN_UNIT_KEPT");
}

TEST_CASE("what cannot be run is an error that names it") {
  Children children;
  SpawnRequest request;
  request.argv = {"/nowhere/at/all"};
  const auto child = children.spawn(request);
  REQUIRE_FALSE(child.has_value());
  CHECK(child.error().id == "host.child_not_run");
  CHECK(child.error().message.find("/nowhere/at/all") != std::string::npos);
}

TEST_CASE("a file may be run under another name") {
  SpawnRequest request;
  request.file = "/bin/sh";
  request.argv = {"another", "-c", "echo $0"};
  CHECK(output_of(request) == "another\n");
}

}  // namespace
}  // namespace sonicorn::process
