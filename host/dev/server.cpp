#include "dev/server.hpp"

#include <fmt/format.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

namespace sonicorn::dev {
namespace {

using Datagrams = boost::asio::local::datagram_protocol;
using Json = nlohmann::json;

constexpr std::size_t kMostWords = 16 * 1024;
// Whoever develops an app lets it crash as often as it likes, and waits for no request that hangs.
constexpr std::string_view kConfiguration = R"(grace = 3

[workers]
crashes = 1000000
backoff_most = 0.5

[reload]
probation = 0
)";

}  // namespace

Server::Answer Server::answer_of(const core::Result<admin::Reply>& reply) {
  if (!reply) return {.why_not = reply.error().message};
  if (reply->status == 200) return {.ok = true};
  const Json json = Json::parse(reply->body, nullptr, false);
  const bool has_error = json.is_object() && json.contains("error") && json["error"].is_string();
  return {.why_not = has_error ? json["error"].get<std::string>() : reply->body};
}

Server::Server(boost::asio::io_context& io, process::Children& children,
               std::filesystem::path folder, Listener listener)
    : io_(io),
      children_(children),
      folder_(std::move(folder)),
      listener_(std::move(listener)),
      words_(io) {}

core::Result<void> Server::open() {
  const std::string path = folder_ / "notify.sock";
  boost::system::error_code error = boost::asio::error::name_too_long;
  // The longest name of a Unix socket, less what a server adds.
  if (path.size() < 100) {
    words_.open(Datagrams(), error);
    if (!error) words_.bind(Datagrams::endpoint(path), error);
  }
  if (error) {
    return core::host_error("host.dev_socket",
                            fmt::format("{}: this socket cannot be opened ({}); set TMPDIR to a "
                                        "short path that you may write to",
                                        path, error.message()));
  }
  std::ofstream configuration(folder_ / "dev.toml");
  configuration << kConfiguration;
  configuration.close();
  if (!configuration) {
    return core::host_error(
        "host.dev_socket",
        fmt::format("{}: no file can be written there; see that there is room", folder_.string()));
  }
  await_word();
  return {};
}

core::Result<void> Server::start(const std::vector<std::string>& apps) {
  ++starts_;
  process::SpawnRequest request;
  request.file = process::own_executable();
  request.argv = {"sonicorn",  "serve",
                  "--bind",    "unix:" + requests_socket(),
                  "--control", folder_ / "control.sock",
                  "-c",        folder_ / "dev.toml"};
  request.argv.insert(request.argv.end(), apps.begin(), apps.end());
  request.environment = {{"NOTIFY_SOCKET", folder_ / "notify.sock"}};
  said_.clear();
  is_ready_ = false;
  auto command = Command::start(io_, children_, std::move(request),
                                {.on_output =
                                     [this](std::string_view bytes) {
                                       std::fwrite(bytes.data(), 1, bytes.size(), stderr);
                                       said_ += bytes;
                                       if (said_.size() > 2 * kMostWords)
                                         said_.erase(0, said_.size() - kMostWords);
                                     },
                                 .on_end =
                                     [this](int wait_status) {
                                       command_ = nullptr;
                                       listener_.on_end(ending_of(wait_status), said_);
                                     }});
  if (!command) return command.error();
  command_ = *std::move(command);
  return {};
}

void Server::reload(std::function<void(const Answer&)> done) {
  // The answer comes when the apps have been loaded, or were refused; nothing else may wait for it.
  asker_ = std::jthread([this, done = std::move(done)] {
    Answer answer =
        answer_of(admin::ask_server(folder_ / "control.sock", "POST", "/reload?force=1"));
    boost::asio::post(io_, [done, answer = std::move(answer)] { done(answer); });
  });
}

void Server::send_signal(int signal) const {
  if (command_ != nullptr) command_->send_signal(signal);
}

void Server::await_word() {
  words_.async_receive(boost::asio::buffer(word_),
                       [this](boost::system::error_code error, std::size_t size) {
                         if (error == boost::asio::error::operation_aborted) return;
                         if (!error) on_word({word_.data(), size});
                         await_word();
                       });
}

// As sd_notify(3) writes it: lines, NAME=VALUE.
void Server::on_word(std::string_view word) {
  if (command_ == nullptr || is_ready_ ||
      ("\n" + std::string(word)).find("\nREADY=1") == std::string::npos) {
    return;
  }
  is_ready_ = true;
  listener_.on_ready();
}

}  // namespace sonicorn::dev
