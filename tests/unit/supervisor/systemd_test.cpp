#include "supervisor/systemd.hpp"

#include <doctest/doctest.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <unistd.h>

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <string>

#include "../app/temporary_folder.hpp"

namespace sonicorn::supervisor {
namespace {

using namespace std::chrono_literals;

// What systemd would listen on; "@NAME" is an abstract name.
class Manager {
 public:
  explicit Manager(const std::string& name) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    REQUIRE(name.size() < sizeof address.sun_path);
    std::memcpy(address.sun_path, name.data(), name.size());
    if (name.front() == '@') address.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
    REQUIRE(::bind(socket_, reinterpret_cast<const sockaddr*>(&address), size) == 0);
    ::setenv("NOTIFY_SOCKET", name.c_str(), 1);
  }
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;
  ~Manager() { ::close(socket_); }

  // The next message; empty: there is none.
  std::string message() const {
    char buffer[4096];
    const ssize_t got = ::recv(socket_, buffer, sizeof buffer, MSG_DONTWAIT);
    return got < 0 ? "" : std::string(buffer, static_cast<std::size_t>(got));
  }

 private:
  int socket_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
};

std::string abstract_name() { return "@sonicorn-unit-" + std::to_string(::getpid()); }

TEST_CASE("the manager is told how the server is, by path or by abstract name") {
  const app::TemporaryFolder folder;
  for (const std::string& name : {(folder.path() / "notify").string(), abstract_name()}) {
    CAPTURE(name);
    const Manager manager(name);
    Notifier notifier = Notifier::from_environment();
    CHECK(std::getenv("NOTIFY_SOCKET") == nullptr);
    CHECK(notifier.is_active());
    CHECK_FALSE(notifier.watchdog_interval().has_value());
    notifier.ready("2 workers\nserve");
    CHECK(manager.message() == "READY=1\nSTATUS=2 workers serve");
    notifier.status("fine");
    CHECK(manager.message() == "STATUS=fine");
    notifier.ping();
    CHECK(manager.message() == "WATCHDOG=1");
    notifier.stopping();
    CHECK(manager.message() == "STOPPING=1");

    timespec before{};
    ::clock_gettime(CLOCK_MONOTONIC, &before);
    notifier.reloading();
    const std::string reloading = manager.message();
    const std::string begin = "RELOADING=1\nMONOTONIC_USEC=";
    REQUIRE(reloading.starts_with(begin));
    const long long moment = std::stoll(reloading.substr(begin.size()));
    CHECK(moment >= before.tv_sec * 1'000'000LL + before.tv_nsec / 1000);
    CHECK(moment < before.tv_sec * 1'000'000LL + 60'000'000LL);
  }
}

TEST_CASE("a notifier that is moved goes on, and the one that is left says nothing") {
  const Manager manager(abstract_name());
  Notifier first = Notifier::from_environment();
  Notifier second = std::move(first);
  first.status("first");
  second.status("second");
  CHECK(manager.message() == "STATUS=second");
  CHECK(manager.message().empty());
}

TEST_CASE("without a manager, or with one that is gone, nothing happens") {
  ::unsetenv("NOTIFY_SOCKET");
  Notifier nobody = Notifier::from_environment();
  CHECK_FALSE(nobody.is_active());
  nobody.ready("x");
  for (const char* const name : {"", "@", "relative/path", "/nowhere/at/all"}) {
    ::setenv("NOTIFY_SOCKET", name, 1);
    Notifier lost = Notifier::from_environment();
    CHECK(std::getenv("NOTIFY_SOCKET") == nullptr);
    lost.ready("x");
    lost.stopping();
  }
  ::setenv("NOTIFY_SOCKET", ("/" + std::string(200, 'x')).c_str(), 1);
  CHECK_FALSE(Notifier::from_environment().is_active());
}

TEST_CASE("a manager that watches is pinged twice in its time, if it means this process") {
  const std::string self = std::to_string(::getpid());
  struct Case {
    const char* limit;
    std::string process;
    std::optional<std::chrono::microseconds> interval;
  };
  const Case cases[] = {{"30000000", self, 15s},         {"30000000", "", 15s},
                        {"30000000", "1", std::nullopt}, {"30000000", "x", std::nullopt},
                        {"0", self, std::nullopt},       {"-1", self, std::nullopt},
                        {"1e3", self, std::nullopt},     {"18446744073709551615", self, 43'200s}};
  for (const Case& each : cases) {
    CAPTURE(std::string(each.limit));
    const Manager manager(abstract_name());
    ::setenv("WATCHDOG_USEC", each.limit, 1);
    ::unsetenv("WATCHDOG_PID");
    if (!each.process.empty()) ::setenv("WATCHDOG_PID", each.process.c_str(), 1);
    CHECK(Notifier::from_environment().watchdog_interval() == each.interval);
    CHECK(std::getenv("WATCHDOG_USEC") == nullptr);
    CHECK(std::getenv("WATCHDOG_PID") == nullptr);
  }
}

// Descriptors in a row, as systemd hands them over, under numbers that nobody else has.
constexpr int kFirst = 200;

int listening(int family) {
  const int socket = ::socket(family, SOCK_STREAM, 0);
  REQUIRE(socket >= 0);
  if (family == AF_INET) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0);
  } else {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    REQUIRE(::bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof(sa_family_t)) == 0);
  }
  REQUIRE(::listen(socket, 1) == 0);
  return socket;
}

class Handed {
 public:
  explicit Handed(std::vector<int> sockets) : count_(static_cast<int>(sockets.size())) {
    for (int i = 0; i < count_; ++i) {
      const int socket = sockets[static_cast<std::size_t>(i)];
      if (socket < 0) continue;
      REQUIRE(::dup2(socket, kFirst + i) >= 0);
      ::close(socket);
    }
    ::setenv("LISTEN_PID", std::to_string(::getpid()).c_str(), 1);
    ::setenv("LISTEN_FDS", std::to_string(count_).c_str(), 1);
    ::unsetenv("LISTEN_FDNAMES");
  }
  Handed(const Handed&) = delete;
  Handed& operator=(const Handed&) = delete;
  ~Handed() {
    for (int i = 0; i < count_; ++i) ::close(kFirst + i);
  }

 private:
  int count_;
};

std::string refusal() {
  const auto sockets = activated_sockets(kFirst);
  REQUIRE_FALSE(sockets.has_value());
  CHECK(sockets.error().id == "host.activation");
  return sockets.error().message;
}

TEST_CASE("sockets that were handed over are taken, non-blocking and closed on exec") {
  const Handed handed({listening(AF_INET), listening(AF_UNIX)});
  ::setenv("LISTEN_FDNAMES", "web:admin", 1);
  const auto sockets = activated_sockets(kFirst);
  REQUIRE_MESSAGE(sockets.has_value(), sockets.error().message);
  CHECK(*sockets == std::vector<int>{kFirst, kFirst + 1});
  for (const int socket : *sockets) {
    CHECK((::fcntl(socket, F_GETFL) & O_NONBLOCK) != 0);
    CHECK((::fcntl(socket, F_GETFD) & FD_CLOEXEC) != 0);
  }
  for (const char* const name : {"LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"}) {
    CHECK(std::getenv(name) == nullptr);
  }
  CHECK(activated_sockets(kFirst)->empty());
}

TEST_CASE("sockets that are meant for another process are left alone") {
  const Handed handed({listening(AF_INET)});
  ::setenv("LISTEN_PID", "1", 1);
  CHECK(activated_sockets(kFirst)->empty());
  CHECK(std::getenv("LISTEN_FDS") == nullptr);
  CHECK((::fcntl(kFirst, F_GETFD) & FD_CLOEXEC) == 0);
}

TEST_CASE("what is no listening stream socket is refused, by number and name") {
  {
    const Handed handed({listening(AF_INET), ::socket(AF_INET, SOCK_STREAM, 0)});
    ::setenv("LISTEN_FDNAMES", "web:other", 1);
    const std::string message = refusal();
    CHECK(message.find("descriptor 201 (\"other\")") != std::string::npos);
    CHECK(message.find("does not listen") != std::string::npos);
  }
  {
    const Handed handed({::socket(AF_INET, SOCK_DGRAM, 0)});
    CHECK(refusal().find("is no stream socket") != std::string::npos);
  }
  {
    const Handed handed({::socket(AF_NETLINK, SOCK_RAW, 0)});
    CHECK(refusal().find("is neither a TCP nor a Unix socket") != std::string::npos);
  }
  {
    const Handed handed({::open("/dev/null", O_RDONLY)});
    CHECK(refusal().find("is no socket") != std::string::npos);
  }
  const Handed handed({-1});
  CHECK(refusal().find("is not open") != std::string::npos);
}

TEST_CASE("variables that contradict themselves are refused") {
  for (const char* const count : {"x", "-1", "99999", "1 "}) {
    CAPTURE(std::string(count));
    const Handed handed({listening(AF_INET)});
    ::setenv("LISTEN_FDS", count, 1);
    CHECK(refusal().find("LISTEN_FDS") != std::string::npos);
  }
  const Handed handed({listening(AF_INET)});
  ::setenv("LISTEN_FDNAMES", "one:two", 1);
  CHECK(refusal().find("LISTEN_FDNAMES") != std::string::npos);
}

TEST_CASE("no variables, or none sockets, are no sockets") {
  CHECK(activated_sockets(kFirst)->empty());
  const Handed handed({});
  CHECK(activated_sockets(kFirst)->empty());
}

}  // namespace
}  // namespace sonicorn::supervisor
