#include <sys/socket.h>

#include <csignal>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "support/support.hpp"

// The developer's loop: `sonicorn dev`.

using namespace support;
using std::string;

namespace {

// A compiler on a busy machine.
constexpr std::chrono::seconds kBuildTime{120};

string replaced(string text, const string& what, const string& with) {
  const std::size_t at = text.find(what);
  REQUIRE(at != string::npos);
  return text.replace(at, what.size(), with);
}

// A project in C under `sonicorn dev`, on a free port.
class Project {
 public:
  Project() {
    Process making({executable(), "new", "hi", "--lang", "c"}, {}, folder_.path());
    const auto ending = making.wait();
    REQUIRE(ending.has_value());
    REQUIRE(ending->status == 0);
    text_ = read_file(source());
  }
  ~Project() {
    if (process_ != nullptr) process_->send_signal(SIGTERM);
    if (process_ != nullptr) process_->wait();
  }
  Project(const Project&) = delete;
  Project& operator=(const Project&) = delete;

  std::filesystem::path source() const { return folder_ / "hi/hi.c"; }
  // As it was written at first.
  const string& text() const { return text_; }
  const TemporaryFolder& folder() const { return folder_; }
  Process& process() { return *process_; }

  void start() {
    process_ = std::make_unique<Process>(
        std::vector<string>{executable(), "dev", "hi", "--bind", "127.0.0.1:0"},
        Process::Environment{{"TMPDIR", folder_.path()}}, folder_.path());
    const string address = "http://127.0.0.1:";
    REQUIRE(process_->wait_for_errors(" shows the app"));
    const string said = process_->errors();
    const std::size_t at = said.find(address) + address.size();
    endpoint_ = {.host = "127.0.0.1", .port = said.substr(at, said.find(' ', at) - at), .path = {}};
    events_ = std::make_unique<Client>(endpoint_);
    REQUIRE(events_->send(get("/__sonicorn/events")));
  }

  Response page(const string& target = "/") const { return ask(endpoint_, get(target)); }

  // The servers that it runs.
  std::vector<pid_t> servers() const {
    const string own = std::to_string(process_->id());
    std::ifstream children("/proc/" + own + "/task/" + own + "/children");
    std::vector<pid_t> found;
    for (pid_t pid = 0; children >> pid;) {
      if (read_file("/proc/" + std::to_string(pid) + "/cmdline").find("serve") != string::npos) {
        found.push_back(pid);
      }
    }
    return found;
  }

  // The next version of what is shown, as an open page hears of it.
  string next_version() {
    const string mark = "data: ";
    for (;;) {
      const std::size_t at = heard_.find(mark);
      const std::size_t end = at == string::npos ? at : heard_.find("\n\n", at);
      if (end != string::npos) {
        const string version = heard_.substr(at + mark.size(), end - at - mark.size());
        heard_.erase(0, end + 2);
        return version;
      }
      char bytes[512];
      if (!events_->readable(kBuildTime)) FAIL("no new version; " << process_->errors());
      const ssize_t got = ::recv(events_->descriptor(), bytes, sizeof bytes, 0);
      if (got <= 0) FAIL("the events ended; " << process_->errors());
      heard_.append(bytes, static_cast<std::size_t>(got));
    }
  }

  // Waits until there is an answer of an app, or a notice other than that of the first build.
  string first_version() {
    while (true) {
      const string version = next_version();
      const string body = page().body;
      if (body.find("dev.js?" + version) != string::npos &&
          body.find("first build") == string::npos) {
        return version;
      }
    }
  }

 private:
  TemporaryFolder folder_;
  string text_;
  std::unique_ptr<Process> process_;
  Endpoint endpoint_;
  std::unique_ptr<Client> events_;
  string heard_;
};

bool has(const Response& response, const string& text) {
  return response.body.find(text) != string::npos;
}

}  // namespace

TEST_SUITE("dev") {
  TEST_CASE("a page follows its source, shows what is wrong with it, and comes back") {
    Project project;
    project.start();
    const string first = project.first_version();
    const Response begun = project.page();
    CHECK(begun.status == 200);
    CHECK(has(begun, "<h1>Hello from hi</h1>"));
    CHECK(has(begun, "<script src=\"/__sonicorn/dev.js?" + first + "\"></script>\n</body>"));
    CHECK(begun.field("Cache-Control") == "no-store");
    CHECK(project.page("/elsewhere").status == 404);
    CHECK(project.page("/__sonicorn/dev.js").field("Content-Type").starts_with("text/javascript"));
    CHECK(project.page("/__sonicorn/else").status == 404);

    write_file(project.source(), replaced(project.text(), "<h1>Hello", "<h1>Good evening"));
    const string second = project.next_version();
    CHECK(second != first);
    const Response edited = project.page();
    CHECK(edited.status == 200);
    CHECK(has(edited, "<h1>Good evening from hi</h1>"));
    CHECK(has(edited, second));

    write_file(project.source(), replaced(project.text(), "SONICORN_OK;", "SONICORN_OKAY <b>;"));
    const string third = project.next_version();
    const Response broken = project.page();
    CHECK(broken.status == 500);
    CHECK(broken.field("Content-Type") == "text/html; charset=utf-8");
    CHECK(has(broken, "hi.c:"));
    CHECK(has(broken, "SONICORN_OKAY"));
    CHECK(has(broken, "&lt;b&gt;"));
    CHECK_FALSE(has(broken, "<b>"));
    CHECK(has(broken, "<script src=\"/__sonicorn/dev.js?" + third + "\"></script>"));
    CHECK(project.page("/any/other").status == 500);
    CHECK(project.process().errors().find("SONICORN_OKAY <b>;") != string::npos);

    write_file(project.source(), replaced(project.text(), "<h1>Hello", "<h1>Welcome"));
    CHECK(project.next_version() != third);
    const Response mended = project.page();
    CHECK(mended.status == 200);
    CHECK(has(mended, "<h1>Welcome from hi</h1>"));

    project.process().send_signal(SIGINT);
    const auto ending = project.process().wait();
    REQUIRE(ending.has_value());
    CHECK(ending->status == 0);
    // The server's sockets and private copies have gone with it.
    for (const auto& left : std::filesystem::directory_iterator(project.folder().path())) {
      CHECK(left.path().filename() == "hi");
    }
  }

  TEST_CASE("a project that is broken from the start, and an app that is refused, say why") {
    Project project;
    write_file(project.source(), "#error not yet\n");
    project.start();
    project.first_version();
    const Response broken = project.page();
    CHECK(broken.status == 500);
    CHECK(has(broken, "not yet"));

    // An app that wants what no server has.
    const string refused = replaced(project.text(), "{\"blocking\": false}",
                                    "{\"blocking\": false, \"requires\": [\"time_machine/1\"]}");
    write_file(project.source(), refused);
    project.next_version();
    const Response page = project.page();
    CHECK(page.status == 500);
    CHECK(has(page, "time_machine/1"));

    write_file(project.source(), project.text());
    project.next_version();
    CHECK(has(project.page(), "<h1>Hello from hi</h1>"));

    // And now that there is one that serves.
    write_file(project.source(), refused);
    project.next_version();
    CHECK(has(project.page(), "time_machine/1"));
  }

  TEST_CASE("a server that dies is named and started again") {
    Project project;
    project.start();
    project.first_version();
    const std::vector<pid_t> servers = project.servers();
    REQUIRE(servers.size() == 1);
    REQUIRE(::kill(servers.front(), SIGKILL) == 0);
    CHECK(project.process().wait_for_errors("the server ended (signal 9"));
    project.next_version();
    CHECK(has(project.page(), "<h1>Hello from hi</h1>"));
    CHECK(project.servers() != servers);
  }

  TEST_CASE("an app that crashes more often than a server bears comes back when it is mended") {
    Project project;
    write_file(project.source(),
               replaced(project.text(), "return SONICORN_DECLINED;", "__builtin_trap();"));
    project.start();
    project.first_version();
    for (int crash = 0; crash < 7; ++crash) CHECK(project.page("/crash").status == 502);
    CHECK(project.page().status == 200);

    write_file(project.source(), project.text());
    project.next_version();
    CHECK(project.page("/crash").status == 404);
  }

  TEST_CASE("a folder without a project, and an address that no browser opens, are refused") {
    const TemporaryFolder folder;
    const Outcome missing = run_sonicorn({"dev", folder.path()});
    CHECK(missing.ending.status == 1);
    CHECK(missing.errors.find("CMakeLists.txt") != string::npos);
    CHECK(missing.errors.find("sonicorn new") != string::npos);
    const Outcome address = run_sonicorn({"dev", folder.path(), "--bind", "unix:/tmp/x"});
    CHECK(address.ending.status == 2);
    CHECK(address.errors.find("HOST:PORT") != string::npos);
  }
}
