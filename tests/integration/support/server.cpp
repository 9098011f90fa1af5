#include "support/server.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <exception>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <system_error>

#include "support/client.hpp"

namespace support {
namespace {

Endpoint endpoint_from(std::string_view address) {
  constexpr std::string_view kUnix = "unix:";
  constexpr std::string_view kHttp = "http://";
  if (address.starts_with(kUnix)) return {{}, {}, address.substr(kUnix.size())};
  if (!address.starts_with(kHttp)) {
    throw std::runtime_error("an address of no known form: " + std::string(address));
  }
  address.remove_prefix(kHttp.size());
  while (address.ends_with('/')) address.remove_suffix(1);
  const std::size_t colon = address.rfind(':');
  std::string host{address.substr(0, colon)};
  std::erase_if(host, [](char c) { return c == '[' || c == ']'; });
  return {std::move(host), std::string(address.substr(colon + 1)), {}};
}

// The configuration, with much time to load an app unless it says how much.
std::string patient(const std::string& toml) {
  return toml.find("load_time") == std::string::npos ? "load_time = 60\n" + toml : toml;
}

}  // namespace

std::string mounted(std::string_view mount, std::string_view fixture_name) {
  return std::string(mount) + "=" + fixture(fixture_name).string();
}

std::string app_entry(std::string_view mount, std::string_view fixture_name,
                      std::string_view more) {
  std::ostringstream entry;
  entry << "[[app]]\nfile = \"" << fixture(fixture_name).string() << "\"\nmount = \"" << mount
        << "\"\n"
        << more << "\n";
  return entry.str();
}

Server::Server(const ServerOptions& options) {
  const auto binds =
      options.binds.empty()
          ? std::vector<std::string>{"127.0.0.1:0", "unix:" + (folder_ / "s").string()}
          : options.binds;
  std::vector<std::string> arguments{executable(), "serve"};
  for (const auto& bind : binds) {
    arguments.emplace_back("--bind");
    arguments.push_back(bind);
  }
  write_file(folder_ / "sonicorn.toml", patient(options.toml));
  arguments.emplace_back("-c");
  arguments.push_back(folder_ / "sonicorn.toml");
  arguments.insert(arguments.end(), options.arguments.begin(), options.arguments.end());
  arguments.insert(arguments.end(), options.files.begin(), options.files.end());
  std::filesystem::create_directory(folder_ / "runtime");
  std::filesystem::create_directory(folder_ / "run");
  {
    const DescriptorLimit limit(options.descriptors);
    process_ = std::make_unique<Process>(
        std::move(arguments), Process::Environment{{"TMPDIR", folder_ / "runtime"},
                                                   {"RUNTIME_DIRECTORY", folder_ / "run"}});
  }
  wait_until_listening(binds.size());
}

Server::~Server() {
  try {
    const Ending ending = stop();
    if (std::uncaught_exceptions() > 0) {
      MESSAGE("the server's log:\n" << log());
      return;
    }
    if (!may_fail_) {
      CHECK_MESSAGE((ending.status == 0 && ending.signal == 0),
                    "the server ended with status " << ending.status << " and signal "
                                                    << ending.signal << "; its log:\n"
                                                    << log());
    }
    CHECK_MESSAGE(!reported_by_sanitizer(log()), "the server's log:\n" << log());
  } catch (const std::exception& error) {
    ADD_FAIL_CHECK_AT(__FILE__, __LINE__, error.what() << "; the server's log:\n" << log());
  }
}

void Server::wait_until_listening(std::size_t binds) {
  constexpr std::string_view kPrefix = "Listening on ";
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (listening_.size() < binds) {
    listening_.clear();
    std::string seen = process_->output();
    std::istringstream lines(seen.substr(0, seen.rfind('\n') + 1));
    for (std::string line; std::getline(lines, line);) {
      if (line.starts_with(kPrefix)) listening_.push_back(line.substr(kPrefix.size()));
    }
    if (listening_.size() >= binds) break;
    const bool ended = process_->wait(std::chrono::milliseconds(2)).has_value();
    if (ended || std::chrono::steady_clock::now() > deadline) {
      throw std::runtime_error("the server does not listen; its log:\n" + log());
    }
  }
  for (const auto& address : listening_) {
    const Endpoint endpoint = endpoint_from(address);
    (endpoint.host.empty() ? unix_ : tcp_) = endpoint;
  }
}

std::vector<pid_t> Server::workers() const {
  const std::string own = std::to_string(process_->id());
  std::ifstream children("/proc/" + own + "/task/" + own + "/children");
  std::vector<pid_t> found;
  for (pid_t pid = 0; children >> pid;) {
    // Hooks and the like are children, too.
    std::ifstream command("/proc/" + std::to_string(pid) + "/cmdline");
    std::string program;
    std::string subcommand;
    std::getline(command, program, '\0');
    std::getline(command, subcommand, '\0');
    if (subcommand == "worker") found.push_back(pid);
  }
  return found;
}

bool Server::has_replaced(pid_t worker, std::size_t count) const {
  const std::vector<pid_t> now = workers();
  return now.size() == count && std::find(now.begin(), now.end(), worker) == now.end();
}

bool Server::refuses_connections() const {
  const auto deadline = std::chrono::steady_clock::now() + kPatience;
  while (std::chrono::steady_clock::now() < deadline) {
    try {
      // What the kernel accepted before the listener closed ends without a word.
      Client(tcp_).readable(std::chrono::milliseconds(5));
    } catch (const std::system_error&) {
      return true;
    }
  }
  return false;
}

Ending Server::ending() {
  const auto ending = process_->wait();
  if (!ending) throw std::runtime_error("the server did not end in time; its log:\n" + log());
  return *ending;
}

Ending Server::stop(int signal) {
  const auto ended = process_->wait(std::chrono::milliseconds(0));
  if (ended) return *ended;
  process_->send_signal(signal);
  return ending();
}

}  // namespace support
