#include <algorithm>
#include <atomic>
#include <csignal>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "support/contract.hpp"
#include "support/reloading.hpp"
#include "support/support.hpp"

// Reloads again and again, and files that change under the server's hands, while clients ask.

using namespace support;
using std::string;

namespace {

long memory_of(pid_t process) {
  std::ifstream file("/proc/" + std::to_string(process) + "/statm");
  long size = 0;
  long resident = 0;
  file >> size >> resident;
  return resident;
}

// Of files: what is anonymous is also memory of the C library, or of a sanitizer.
long mapped_files_of(pid_t process) {
  const auto maps = read_lines("/proc/" + std::to_string(process) + "/maps");
  return std::count_if(maps.begin(), maps.end(),
                       [](const string& line) { return line.find('/') != string::npos; });
}

// Writes its file in place, a build in pieces, again and again.
class Scribbler {
 public:
  Scribbler(std::filesystem::path file, const string& content)
      : thread_([this, file = std::move(file), content] {
          while (!stop_) {
            std::ofstream stream(file, std::ios::binary);
            for (std::size_t at = 0; at < content.size(); at += 4096) {
              stream << content.substr(at, 4096) << std::flush;
            }
            ++rounds_;
          }
        }) {}
  ~Scribbler() { stop(); }
  Scribbler(const Scribbler&) = delete;
  Scribbler& operator=(const Scribbler&) = delete;
  void stop() {
    stop_ = true;
    if (thread_.joinable()) thread_.join();
  }
  unsigned long rounds() const { return rounds_; }

 private:
  std::atomic<bool> stop_{false};
  std::atomic<unsigned long> rounds_{0};
  std::thread thread_;
};

}  // namespace

TEST_SUITE("reload_load") {
  TEST_CASE("1,000 reloads in a row lose no request and no connection, and leave nothing behind") {
    for (const int workers : {1, 2}) {
      CAPTURE(workers);
      const Builds builds("build_one");
      Server server(
          {.toml = builds.toml("workers = " + std::to_string(workers) + "\n" + string(kQuick))});
      Load load(server.tcp());
      Client control(Endpoint{{}, {}, builds.control()});
      const auto reload = [&](int times) {
        for (int i = 0; i < times; ++i) {
          builds.install(i % 2 == 0 ? "build_two" : "build_one");
          const Response response = control.ask(post("/reload?app=app", ""));
          REQUIRE_MESSAGE(response.status == 200, response.body);
        }
      };
      reload(10);
      const pid_t worker = server.workers().at(0);
      const long memory = memory_of(worker);
      const long files = mapped_files_of(worker);
      reload(has_sanitizer() ? 20 : 990);
      load.check_nothing_lost();
      CHECK(eventually([&] { return mapped_files_of(worker) <= files; }));
      CHECK(server.log().find("pinned") == string::npos);
      if (!has_sanitizer()) CHECK(memory_of(worker) < memory + memory / 20 + 512);
      CHECK(server.workers().size() == static_cast<std::size_t>(workers));
      CHECK(builds.apps()[0]["generation"] == (has_sanitizer() ? 31 : 1001));
    }
  }

  TEST_CASE("a file that keeps changing is never served in part, told to reload or watched") {
    for (const bool watched : {false, true}) {
      CAPTURE(watched);
      const Builds builds("build_one");
      Server server(
          {.toml = builds.toml(),
           .arguments = watched ? std::vector<string>{"--reload"} : std::vector<string>{}});
      Load load(server.tcp());
      Scribbler scribbler(builds.file(), read_file(fixture("build_two")));
      const unsigned long until = scribbler.rounds() + 200;
      int tries = 0;
      while (scribbler.rounds() < until || tries < 5) {
        // It is refused, or it was taken whole.
        if (!watched) builds.operate({"reload", "app"});
        load.wait_for_more(20);
        ++tries;
      }
      scribbler.stop();
      if (watched) {
        CHECK(logs(server, {"app app: generation 2 serves"}));
      } else {
        CHECK(builds.reload());
      }
      load.check_nothing_lost();
      CHECK(ask(server.tcp(), get("/")).body.starts_with("two "));
    }
  }

  TEST_CASE("the file of what runs may be overwritten, cut off and removed under load") {
    const Builds builds("build_one");
    Server server({.toml = builds.toml("workers = 2\n" + string(kQuick))});
    Load load(server.tcp());
    load.wait_for_more(100);
    const std::vector<std::pair<string, std::function<void()>>> ways{
        {"overwritten", [&] { write_file(builds.file(), string(200'000, '\0')); }},
        {"cut off", [&] { std::filesystem::resize_file(builds.file(), 100); }},
        {"emptied", [&] { std::filesystem::resize_file(builds.file(), 0); }},
        {"removed", [&] { std::filesystem::remove(builds.file()); }}};
    string serving = "one ";
    for (const auto& [how, spoil] : ways) {
      CAPTURE(how);
      spoil();
      load.wait_for_more(200);
      const Outcome refused = builds.operate({"reload", "app"});
      CHECK(refused.ending.status == 1);
      CHECK_MESSAGE(refused.errors.find("app.so") != string::npos, refused.errors);
      CHECK(ask(server.tcp(), get("/")).body.starts_with(serving));
      serving = serving == "one " ? "two " : "one ";
      builds.install(serving == "one " ? "build_one" : "build_two");
      CHECK(builds.reload());
      CHECK(ask(server.tcp(), get("/")).body.starts_with(serving));
    }
    load.check_nothing_lost();
  }
}
