#include "dev/loop.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <stdlib.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

#include "core/result.hpp"
#include "dev/build.hpp"
#include "dev/front.hpp"
#include "dev/project.hpp"
#include "dev/server.hpp"
#include "dev/watcher.hpp"
#include "process/child.hpp"
#include "worker/listening_socket.hpp"

namespace sonicorn::dev {
namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;
using boost::system::error_code;

// For what is to end in order; then it is killed.
constexpr std::chrono::seconds kPatience{15};
// A server that dies more often on one build is not started again by itself.
constexpr int kMostDeaths = 3;

// A terminal that is gone must not keep anything from its end, so nothing here throws.
void print(std::string_view text) { std::fwrite(text.data(), 1, text.size(), stderr); }

template <class... Args>
void say(fmt::format_string<Args...> format, Args&&... args) {
  print(fmt::format("sonicorn dev: {}\n", fmt::format(format, std::forward<Args>(args)...)));
}

std::string seconds(std::chrono::milliseconds time) {
  return fmt::format("{:.1f} s", static_cast<double>(time.count()) / 1000);
}

// A private folder for sockets, removed with what is in it.
class PrivateFolder {
 public:
  PrivateFolder() {
    std::error_code ignored;
    std::string name = (fs::temp_directory_path(ignored) / "sonicorn-dev-XXXXXX").string();
    if (::mkdtemp(name.data()) != nullptr) path_ = name;
  }
  ~PrivateFolder() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  PrivateFolder(const PrivateFolder&) = delete;
  PrivateFolder& operator=(const PrivateFolder&) = delete;

  const fs::path& path() const { return path_; }  // empty: it cannot be made

 private:
  fs::path path_;
};

// A file of an app, and what tells one build of it from the next.
struct BuiltApp {
  fs::path file;
  fs::file_time_type written;
  std::uintmax_t size = 0;

  bool operator==(const BuiltApp&) const = default;
};

std::vector<BuiltApp> built_apps(const fs::path& build_folder) {
  std::vector<BuiltApp> apps;
  for (const fs::path& file : apps_of_build(build_folder)) {
    std::error_code ignored;
    apps.push_back({file, fs::last_write_time(file, ignored), fs::file_size(file, ignored)});
  }
  return apps;
}

// As serve wants them: the only one at the root, several below their names.
std::vector<std::string> mounted(const std::vector<BuiltApp>& apps) {
  std::vector<std::string> arguments;
  for (const BuiltApp& app : apps) {
    const std::string mount = apps.size() == 1 ? "" : app.file.stem().string();
    arguments.push_back(fmt::format("/{}={}", mount, app.file.string()));
  }
  return arguments;
}

class Loop {
 public:
  Loop(const fs::path& folder, const fs::path& build_folder, const fs::path& sockets,
       worker::ListeningSocket& socket)
      : url_(socket.url()),
        build_folder_(build_folder),
        signals_(io_, SIGINT, SIGTERM, SIGHUP),
        child_signal_(io_, SIGCHLD),
        patience_(io_),
        build_(io_, children_, folder, build_folder, sdk_of(process::own_executable())),
        server_(io_, children_, sockets,
                {.on_ready = [this] { on_ready(); },
                 .on_end = [this](const std::string& how,
                                  const std::string& words) { on_server_end(how, words); }}),
        watcher_(io_, folder, build_folder, [this](const fs::path& file) { on_change(file); }),
        front_(io_, ::fcntl(socket.descriptor(), F_DUPFD_CLOEXEC, 3)) {}

  core::Result<void> start() {
    if (auto opened = server_.open(); !opened) return opened;
    if (auto started = watcher_.start(); !started) return started;
    await_signal();
    await_child();
    say("{} shows the app, and follows each change; Ctrl-C ends it", url_);
    front_.show({.title = "Building", .text = "The first build is on its way."});
    build();
    return {};
  }

  void run() { io_.run(); }

 private:
  enum class Step { idle, building, starting, stopping, reloading };

  void await_signal();
  void await_child();
  void on_change(const fs::path& file);
  void build();
  void on_built(BuildEnd end);
  void start_server();
  void on_ready();
  void on_server_end(const std::string& how, const std::string& words);
  void reload();
  void on_answer(const Server::Answer& answer);
  void serve(std::string_view what);
  void tell(const std::string& title, const std::string& text);
  void show_failure(const std::string& title, const std::string& text);
  void next();
  void end();
  void kill_all();
  void end_when_alone();

  std::string url_;
  fs::path build_folder_;
  asio::io_context io_;
  asio::signal_set signals_;
  asio::signal_set child_signal_;
  asio::steady_timer patience_;
  process::Children children_;
  Build build_;
  Server server_;
  Watcher watcher_;
  Front front_;

  Step step_ = Step::idle;
  bool is_changed_ = false;  // since the build that runs began
  bool is_ending_ = false;
  bool is_shown_ = false;  // the browser sees the app
  std::vector<BuiltApp> built_;
  std::vector<BuiltApp> served_;  // what the server took
  std::chrono::milliseconds build_time_{0};
  int deaths_ = 0;  // of the server, unasked for, on this build
};

void Loop::await_signal() {
  signals_.async_wait([this](error_code error, int) {
    if (error) return;
    is_ending_ ? kill_all() : end();
    await_signal();
  });
}

void Loop::await_child() {
  child_signal_.async_wait([this](error_code error, int) {
    if (error) return;
    children_.reap();
    await_child();
  });
}

void Loop::on_change(const fs::path& file) {
  if (is_ending_) return;
  is_changed_ = true;
  if (step_ == Step::idle) {
    say("{} changed", file.string());
    build();
  }
}

void Loop::build() {
  step_ = Step::building;
  is_changed_ = false;
  build_.run([this](BuildEnd end) { on_built(std::move(end)); });
}

void Loop::on_built(BuildEnd end) {
  if (is_ending_) return end_when_alone();
  if (!end.ok) {
    tell(end.title, end.output);
    return next();
  }
  build_time_ = end.time;
  deaths_ = 0;
  if (end.output.find("warning: ") != std::string::npos) print(end.output);
  built_ = built_apps(build_folder_);
  if (built_.empty()) {
    tell("The build makes no app",
         "No target of it is an app. Write sonicorn_add_app(NAME SOURCE) in CMakeLists.txt.\n");
    return next();
  }
  if (!server_.is_running()) return start_server();
  if (mounted(built_) != mounted(served_)) {
    // Its apps are those that it was started with.
    step_ = Step::stopping;
    return server_.send_signal(SIGTERM);
  }
  if (built_ != served_) return reload();
  serve("nothing new");
  next();
}

void Loop::start_server() {
  step_ = Step::starting;
  if (built_.size() > 1) {
    for (const std::string& each : mounted(built_)) say("serves {}", each);
  }
  served_.clear();
  if (auto started = server_.start(mounted(built_)); !started) {
    tell("The server does not start", started.error().message);
    next();
  }
}

void Loop::on_ready() {
  if (step_ != Step::starting) return;
  served_ = built_;
  serve("started");
  next();
}

void Loop::on_server_end(const std::string& how, const std::string& words) {
  if (is_ending_) return end_when_alone();
  switch (step_) {
    case Step::stopping:
      return start_server();
    case Step::starting:
      // The terminal has its words already.
      say("the app cannot be served");
      show_failure("The app cannot be served", words);
      return next();
    case Step::idle:
      break;
    default:
      // What comes next finds out.
      return;
  }
  if (++deaths_ > kMostDeaths) {
    say("the server ended again ({}); it is started after the next change", how);
    return show_failure(fmt::format("The server ended again and again ({})", how), words);
  }
  say("the server ended ({}); it is started again", how);
  start_server();
}

void Loop::reload() {
  step_ = Step::reloading;
  server_.reload([this](const Server::Answer& answer) { on_answer(answer); });
}

void Loop::on_answer(const Server::Answer& answer) {
  if (is_ending_) return;
  if (!server_.is_running()) {
    start_server();
  } else if (answer.ok) {
    served_ = built_;
    serve("reloaded");
    next();
  } else {
    tell("The server keeps the build before", answer.why_not);
    next();
  }
}

void Loop::serve(std::string_view what) {
  // A file that is no part of the build changes nothing, and no page need know.
  if (what == "nothing new" && is_shown_) return say("{}", what);
  say("built in {}, {}: {}", seconds(build_time_), what, url_);
  is_shown_ = true;
  front_.show({.upstream = server_.requests_socket()});
}

void Loop::tell(const std::string& title, const std::string& text) {
  say("{}\n{}{}", title, text, text.ends_with('\n') ? "" : "\n");
  show_failure(title, text);
}

void Loop::show_failure(const std::string& title, const std::string& text) {
  is_shown_ = false;
  front_.show({.status = 500, .title = title, .text = text});
}

void Loop::next() {
  step_ = Step::idle;
  if (is_changed_) build();
}

void Loop::end() {
  is_ending_ = true;
  say("ends");
  front_.close();
  build_.send_signal(SIGTERM);
  server_.send_signal(SIGTERM);
  patience_.expires_after(kPatience);
  patience_.async_wait([this](error_code error) {
    if (!error) kill_all();
  });
  end_when_alone();
}

void Loop::kill_all() {
  build_.send_signal(SIGKILL);
  server_.send_signal(SIGKILL);
}

void Loop::end_when_alone() {
  if (!build_.is_running() && !server_.is_running()) io_.stop();
}

int fail(const core::Error& error) {
  print(error.message + "\n");
  return 1;
}

}  // namespace

int run(const Options& options) {
  std::error_code error;
  const fs::path folder = fs::canonical(options.folder, error);
  if (error || !fs::exists(folder / "CMakeLists.txt", error)) {
    return fail(core::host_error(
        "host.project", fmt::format("{}: there is no CMakeLists.txt; name the folder of a project, "
                                    "or write a new one with 'sonicorn new NAME'",
                                    options.folder.string())));
  }
  const fs::path build_folder = options.build_folder.empty()
                                    ? folder / "build"
                                    : fs::absolute(options.build_folder).lexically_normal();
  auto socket = worker::ListeningSocket::bind(options.bind);
  if (!socket) return fail(socket.error());
  if (auto listening = socket->listen(); !listening) return fail(listening.error());
  const PrivateFolder sockets;
  if (sockets.path().empty()) {
    return fail(core::host_error("host.dev_socket",
                                 "no temporary folder can be made for the server's sockets; set "
                                 "TMPDIR to a folder that you may write to"));
  }
  // A reader of what is said may go away first.
  std::signal(SIGPIPE, SIG_IGN);
  Loop loop(folder, build_folder, sockets.path(), *socket);
  if (auto started = loop.start(); !started) return fail(started.error());
  loop.run();
  return 0;
}

}  // namespace sonicorn::dev
