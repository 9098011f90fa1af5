#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "support/support.hpp"

// The access log and the server's log: how their lines look, and that nobody who reads them, or
// does not, is in the way of a request.

using namespace support;
using std::string;
using Json = nlohmann::json;

namespace {

constexpr const char* kTraceId = "4bf92f3577b34da6a3ce929d0e0e4736";

string trace_parent() { return "00-" + string(kTraceId) + "-00f067aa0ba902b7-01"; }

string echoed_trace_parent(const Server& server, const string& mount, const string& lines = {}) {
  return ask(server.tcp(), get(mount + "?show=field&name=traceparent", lines)).body;
}

std::vector<Json> json_lines(const std::filesystem::path& file) {
  std::vector<Json> lines;
  for (const string& line : read_lines(file)) lines.push_back(Json::parse(line));
  return lines;
}

// The lines of a server that serves echo at / and echo_pool at /pool, when it has ended. It has one
// I/O thread: those of several are in order by themselves, not together.
class Logged {
 public:
  explicit Logged(const string& format, const string& more = {})
      : server_({.toml = "threads = 1\naccess_log = \"access.log\"\naccess_log_format = \"" +
                         format + "\"\n" + more + app_entry("/", "echo", "name = \"echo\"\n") +
                         app_entry("/pool", "echo_pool", "name = \"pool\"\n")}) {}

  Server& server() { return server_; }
  std::filesystem::path file() const { return server_.folder() / "access.log"; }
  std::vector<string> lines() {
    CHECK(server_.stop().status == 0);
    return read_lines(file());
  }
  std::vector<Json> json() {
    CHECK(server_.stop().status == 0);
    return json_lines(file());
  }

 private:
  Server server_;
};

// The value of a number of the server's own.
double metric(const Endpoint& admin, const string& name) {
  const string text = ask(admin, get("/metrics")).body;
  const std::size_t at = text.find("\n" + name + " ");
  REQUIRE(at != string::npos);
  return std::stod(text.substr(at + 1 + name.size()));
}

// `count` requests on one connection, each answered with this status.
void ask_often(const Endpoint& endpoint, const string& target, int count, int status) {
  constexpr int kAtOnce = 50;
  Client client(endpoint);
  string requests;
  for (int i = 0; i < kAtOnce; ++i) requests += get(target);
  for (int i = 0; i < count; i += kAtOnce) {
    REQUIRE(client.send(requests));
    for (int j = 0; j < kAtOnce; ++j) REQUIRE(client.read_response().status == status);
  }
}

// A named pipe that a server writes to and a test reads when it likes.
class Reader {
 public:
  explicit Reader(const std::filesystem::path& path) : path_(path) {
    REQUIRE(::mkfifo(path.c_str(), 0600) == 0);
    fd_ = ::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    REQUIRE(fd_ >= 0);
  }
  ~Reader() { ::close(fd_); }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  // Reads on until `end` has come; returns all that was read so far.
  const string& read_until(const string& end) {
    while (text_.find(end) == string::npos) {
      pollfd there{fd_, POLLIN, 0};
      REQUIRE(::poll(&there, 1, static_cast<int>(kPatience.count())) == 1);
      std::array<char, 65536> some{};
      const ssize_t count = ::read(fd_, some.data(), some.size());
      REQUIRE(count > 0);
      text_.append(some.data(), static_cast<std::size_t>(count));
    }
    return text_;
  }

  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
  int fd_ = -1;
  string text_;
};

// A server whose standard error is that pipe.
Process serve_into(const Reader& reader, const TemporaryFolder& folder,
                   std::vector<string> arguments) {
  std::vector<string> all{
      "/bin/sh", "-c",     R"(exec 2> "$0"; exec "$@")",      reader.path(), executable(),
      "serve",   "--bind", "unix:" + (folder / "s").string(), "--admin",     folder / "admin"};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return Process(std::move(all), {{"TMPDIR", folder.path()}});
}

}  // namespace

TEST_SUITE("access_log") {
  TEST_CASE(
      "there is no access log unless one is asked for, and no request is given a traceparent") {
    Server server({.files = {mounted("/", "echo")}});
    CHECK(echoed_trace_parent(server, "/") == "(absent)");
    CHECK(echoed_trace_parent(server, "/", "Traceparent: nonsense\r\n") == "nonsense");
    CHECK(server.stop().status == 0);
    CHECK(server.log().find("GET /") == string::npos);
    CHECK(server.process().output().find("GET /") == string::npos);
  }

  TEST_CASE("common has a line for each request of a connection, pipelined ones too") {
    Logged logged("common");
    Client client(logged.server().tcp());
    CHECK(client.ask(get("/a?b=%20")).status == 200);
    REQUIRE(client.send(post("/b", "body") + get("/c?show=method") +
                        "HEAD /d HTTP/1.1\r\nHost: a\r\n\r\n"));
    CHECK(client.read_response().body == "body");
    CHECK(client.read_response().body == "GET");
    CHECK(client.read_response(true).status == 200);
    const std::vector<string> lines = logged.lines();
    REQUIRE(lines.size() == 4);
    for (const string& line : lines) CHECK(line.starts_with("127.0.0.1 - - ["));
    CHECK(lines[0].ends_with("] \"GET /a?b=%20 HTTP/1.1\" 200 -"));
    CHECK(lines[1].ends_with("] \"POST /b HTTP/1.1\" 200 4"));
    CHECK(lines[2].ends_with("] \"GET /c?show=method HTTP/1.1\" 200 3"));
    CHECK(lines[3].ends_with("] \"HEAD /d HTTP/1.1\" 200 -"));
  }

  TEST_CASE("combined tells also of the client, of the app and of the time") {
    Logged logged("combined");
    const string lines =
        "Referer: http://a/\"\r\nUser-Agent: t\xe4st\r\nTraceparent: " + trace_parent() + "\r\n";
    CHECK(ask(logged.server().unix_socket(), get("/", lines)).status == 200);
    const std::vector<string> all = logged.lines();
    REQUIRE(all.size() == 1);
    CHECK(all[0].starts_with("unix - - ["));
    const string end = "\"GET / HTTP/1.1\" 200 - \"http://a/\\\"\" \"t\\xe4st\" " +
                       string(kTraceId) + " echo 1 0.";
    CHECK_MESSAGE(all[0].find(end) != string::npos, all[0]);
  }

  TEST_CASE("JSON has it all, of a handler on the pool too") {
    Logged logged("json");
    CHECK(ask(logged.server().tcp(), get("/pool/x?show=path", "User-Agent: a\xff\r\n")).body ==
          "/x");
    const std::vector<Json> lines = logged.json();
    REQUIRE(lines.size() == 1);
    const Json& line = lines[0];
    CHECK(line["remote"] == "127.0.0.1");
    CHECK(line["request"] == "GET /pool/x?show=path HTTP/1.1");
    CHECK(line["method"] == "GET");
    CHECK(line["target"] == "/pool/x?show=path");
    CHECK(line["status"] == 200);
    CHECK(line["bytes"] == 2);
    CHECK(line["user_agent"] == "a\uFFFD");
    CHECK(line["referer"].is_null());
    CHECK(line["app"] == "pool");
    CHECK(line["generation"] == 1);
    CHECK(line["duration"].get<double>() > 0);
    CHECK(line["duration"].get<double>() < 30);
    CHECK(line["time"].get<string>().size() == 24);
  }

  TEST_CASE("an app sees the id that the log has, whoever made it") {
    Logged logged("json");
    const Server& server = logged.server();
    CHECK(echoed_trace_parent(server, "/", "TraceParent: " + trace_parent() + "\r\n") ==
          trace_parent());
    std::vector<string> made;
    for (const string mount : {"/", "/pool"}) {
      made.push_back(echoed_trace_parent(server, mount));
      made.push_back(echoed_trace_parent(server, mount, "Traceparent: 00-0-0-0\r\n"));
      made.push_back(echoed_trace_parent(
          server, mount,
          "Traceparent: " + trace_parent() + "\r\nTraceparent: " + trace_parent() + "\r\n"));
    }
    CHECK(ask(server.tcp(), get("/?show=fields", "Traceparent: x\r\nTracestate: a=b\r\n")).body ==
          "2");
    const std::vector<Json> lines = logged.json();
    REQUIRE(lines.size() == made.size() + 2);
    CHECK(lines[0]["request_id"] == kTraceId);
    for (std::size_t i = 0; i < made.size(); ++i) {
      CAPTURE(made[i]);
      REQUIRE(made[i].size() == 55);
      CHECK(lines[i + 1]["request_id"] == made[i].substr(3, 32));
      CHECK(made[i].find(kTraceId) == string::npos);
    }
  }

  TEST_CASE("what the server answers itself is told of, with the app that it was for, if any") {
    Logged logged("json", "[limits]\nhead_time = 0.2\n");
    Server& server = logged.server();
    CHECK(ask(server.tcp(), post("/x", string(2'000'000, 'x'))).status == 413);
    CHECK(ask(server.tcp(), "GET /bad\x01 HTTP/1.1\r\nHost: a\r\n\r\n").status == 400);
    CHECK(ask(server.tcp(), "GET /" + string(9000, 'a') + " HTTP/1.1\r\nHost: a\r\n\r\n").status ==
          414);
    Client slow(server.tcp());
    // The request before is not what the next head is told to be of.
    CHECK(slow.ask(get("/first")).status == 200);
    REQUIRE(slow.send("GET /second HTTP/1.1\r\n"));
    CHECK(slow.read_response().status == 408);
    const std::vector<Json> lines = logged.json();
    REQUIRE(lines.size() == 5);
    CHECK(lines[0]["status"] == 413);
    CHECK(lines[0]["app"] == "echo");
    CHECK(lines[1]["status"] == 400);
    CHECK(lines[1]["request"] == "GET /bad\x01 HTTP/1.1");
    CHECK(lines[1]["app"].is_null());
    CHECK(lines[2]["status"] == 414);
    CHECK(lines[2]["request"].get<string>().starts_with("GET /aaa"));
    CHECK(lines[2]["request"].get<string>().size() == 8192);
    CHECK(lines[3]["status"] == 200);
    CHECK(lines[4]["status"] == 408);
    CHECK(lines[4]["request"] == "GET /second HTTP/1.1");
    CHECK(lines[4]["app"].is_null());
    for (const Json& line : lines) CHECK(line["request_id"].get<string>().size() == 32);
  }

  TEST_CASE("a path without an app is a 404 of nobody") {
    const TemporaryFolder folder;
    const string file = folder / "log";
    Server server({.files = {mounted("/a", "echo")}, .arguments = {"--access-log", file}});
    CHECK(ask(server.tcp(), get("/b")).status == 404);
    CHECK(server.stop().status == 0);
    const std::vector<string> lines = read_lines(file);
    REQUIRE(lines.size() == 1);
    CHECK(lines[0].find("\"GET /b HTTP/1.1\" 404 ") != string::npos);
    CHECK(lines[0].find(" - - 0.0") != string::npos);
  }

  TEST_CASE("a client that leaves before the answer, and one that waits too long, have a line") {
    const TemporaryFolder folder;
    const Fifo entered(folder / "entered");
    const Fifo gate(folder / "gate");
    Server server(
        {.toml =
             "threads = 1\naccess_log = \"access.log\"\naccess_log_format = \"json\"\n[limits]\n"
             "request_time = 2\n" +
             app_entry("/", "slow",
                       "[app.settings]\nentered = \"" + entered.path().string() + "\"\ngate = \"" +
                           gate.path().string() + "\"\n")});
    {
      Client waiting(server.tcp());
      CHECK(waiting.ask(get("/late")).status == 503);
    }
    entered.wait();
    {
      Client leaving(server.tcp());
      REQUIRE(leaving.send(get("/gone")));
      entered.wait();
    }
    gate.put(2);
    CHECK(server.stop().status == 0);
    const std::vector<Json> lines = json_lines(server.folder() / "access.log");
    REQUIRE(lines.size() == 2);
    CHECK(lines[0]["request"] == "GET /late HTTP/1.1");
    CHECK(lines[0]["status"] == 503);
    CHECK(lines[0]["app"] == "slow");
    CHECK(lines[0]["generation"] == 1);
    CHECK(lines[0]["duration"].get<double>() >= 0.3);
    CHECK(lines[1]["request"] == "GET /gone HTTP/1.1");
    CHECK(lines[1]["app"] == "slow");
  }

  TEST_CASE("standard output may be the access log") {
    Server server({.files = {mounted("/", "echo")},
                   .arguments = {"--access-log", "-", "--access-log-format", "common"}});
    CHECK(ask(server.tcp(), get("/x")).status == 200);
    CHECK(server.stop().status == 0);
    CHECK(server.process().output().find("] \"GET /x HTTP/1.1\" 200 -\n") != string::npos);
  }

  TEST_CASE("an access log on a full disk costs no request, and the lines are counted") {
    Logged logged("combined", "admin = \"admin\"\n");
    const Endpoint admin{{}, {}, logged.server().folder() / "admin"};
    CHECK(metric(admin, "sonicorn_access_log_lines_dropped_total") == 0);
    const TemporaryFolder folder;
    const Endpoint full{{}, {}, folder / "admin"};
    Server server({.files = {mounted("/", "echo")},
                   .arguments = {"--access-log", "/dev/full", "--admin", full.path}});
    ask_often(server.tcp(), "/", 4000, 200);
    // Other threads count, too.
    CHECK(metric(full, "sonicorn_access_log_lines_dropped_total") > 0);
    CHECK(metric(full, "sonicorn_log_lines_dropped_total") == 0);
  }

  TEST_CASE("the log as JSON is an object a line, with the app that it is about") {
    const TemporaryFolder folder;
    const string file = folder / "log";
    Server server({.files = {mounted("/", "error_result")},
                   .arguments = {"--log-format", "json", "--log-file", file}});
    CHECK(ask(server.tcp(), get("/")).status == 500);
    CHECK(server.stop().status == 0);
    CHECK(server.log().empty());
    const std::vector<Json> lines = json_lines(file);
    const auto of_app = std::find_if(lines.begin(), lines.end(), [](const Json& line) {
      return line["level"] == "error" && line.value("app", "") == "error-result";
    });
    REQUIRE(of_app != lines.end());
    CHECK((*of_app)["message"].get<string>().find("the disk of the app is full") != string::npos);
    CHECK((*of_app)["time"].get<string>().ends_with("Z"));
    CHECK(std::any_of(lines.begin(), lines.end(), [](const Json& line) {
      return line["message"] == "stopped" && !line.contains("app");
    }));
  }

  TEST_CASE("where the log is JSON, so is what keeps the server from starting") {
    const Outcome outcome =
        run_sonicorn({"serve", "/nowhere/app.so", "--log-format", "json", "--bind", "nowhere"});
    CHECK(outcome.ending.status == 2);
    std::istringstream lines(outcome.errors);
    int count = 0;
    for (string line; std::getline(lines, line); ++count) {
      CAPTURE(line);
      CHECK(Json::parse(line).at("level") == "error");
    }
    CHECK(count == 2);
  }

  TEST_CASE("a log that nobody reads stops no request, and says later what is missing") {
    const TemporaryFolder folder;
    Reader reader(folder / "stderr");
    Process process =
        serve_into(reader, folder, {mounted("/", "error_result"), mounted("/echo", "echo")});
    reader.read_until("listening on");
    const Endpoint admin{{}, {}, folder / "admin"};
    const Endpoint server{{}, {}, folder / "s"};
    int asked = 0;
    while (metric(admin, "sonicorn_log_lines_dropped_total") == 0) {
      ask_often(server, "/", 500, 500);
      asked += 500;
      REQUIRE(asked < 100'000);
    }
    ask_often(server, "/echo", 100, 200);
    const double dropped = metric(admin, "sonicorn_log_lines_dropped_total");
    const string text = reader.read_until("line(s) of this log were dropped here");
    CHECK(text.find(" " + std::to_string(static_cast<int>(dropped)) + " line(s) of this log") !=
          string::npos);
    process.send_signal(SIGTERM);
    const string& all = reader.read_until("stopped");
    int told = 0;
    for (auto at = all.find("the disk of the app is full"); at != string::npos;
         at = all.find("the disk of the app is full", at + 1)) {
      ++told;
    }
    CHECK(told + static_cast<int>(dropped) == asked);
    CHECK(process.wait()->status == 0);
  }

  TEST_CASE("a log that nobody reads does not keep the server from stopping") {
    const TemporaryFolder folder;
    Reader reader(folder / "stderr");
    Process process = serve_into(reader, folder, {mounted("/", "error_result")});
    reader.read_until("listening on");
    ask_often({{}, {}, folder / "s"}, "/", 5000, 500);
    process.send_signal(SIGTERM);
    const auto ending = process.wait();
    REQUIRE(ending.has_value());
    CHECK(ending->status == 0);
  }

  TEST_CASE("a log file on a full disk stops no request") {
    const TemporaryFolder folder;
    const Endpoint admin{{}, {}, folder / "admin"};
    Server server({.files = {mounted("/", "error_result")},
                   .arguments = {"--log-file", "/dev/full", "--admin", admin.path}});
    ask_often(server.tcp(), "/", 4000, 500);
    CHECK(metric(admin, "sonicorn_log_lines_dropped_total") > 0);
  }

  TEST_CASE("a log that cannot be written is told before anything is served") {
    const string app = fixture("echo");
    for (const string flag : {"--log-file", "--access-log"}) {
      const Outcome outcome = run_sonicorn({"serve", app, flag, "/nowhere/log"});
      CHECK(outcome.ending.status == 1);
      CHECK(outcome.errors.find("log /nowhere/log cannot be opened") != string::npos);
      CHECK(outcome.errors.find("(" + flag + ")") != string::npos);
    }
    const Outcome outcome = run_sonicorn({"serve", app, "--access-log-format", "comon"});
    CHECK(outcome.ending.status == 2);
    CHECK(outcome.errors == "--access-log-format \"comon\": did you mean \"common\"?\n");
  }
}
