#include <fcntl.h>
#include <fmt/format.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <functional>
#include <iostream>
#include <iterator>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "cli/command.hpp"
#include "config/range.hpp"
#include "config/wording.hpp"
#include "core/crash.hpp"
#include "core/crash_report.hpp"
#include "core/log.hpp"
#include "worker/one_shot.hpp"

namespace sonicorn::cli {
namespace {

constexpr std::string_view kCallExamples = R"(Examples:
  sonicorn call ./hello.so /
  sonicorn call -i ./todo.so POST / -H 'Content-Type: application/json' -d '{"title": "milk"}'
  sonicorn call ./todo.so / --without log

Runs the app in this process, without a socket: start, the request, drain, shutdown. It is offered what one
call can keep: no reload/1, bus/1 or control/1, and less what --without withholds. The app's log goes to
standard error, the body of the answer to standard output.

Exit status: 0 the app answered, whatever the status, 1 it was refused or failed, 2 the command line is
wrong.)";

struct Flags {
  std::string file;
  std::vector<std::string> request;  // [METHOD] TARGET
  std::vector<std::string> fields;
  std::optional<std::string> body;
  std::string settings = "{}";
  std::vector<std::string> without;
  std::optional<std::string> log_level;
  bool with_head = false;
};

// The text itself, or the content of the file that "@FILE" names ("@-": standard input).
std::optional<std::string> body_of(const std::string& text) {
  if (!text.starts_with('@')) return text;
  const std::string file = text.substr(1);
  if (file == "-") {
    return std::string(std::istreambuf_iterator<char>(std::cin), std::istreambuf_iterator<char>());
  }
  std::ifstream stream(file, std::ios::binary);
  if (!stream) return std::nullopt;
  std::string content((std::istreambuf_iterator<char>(stream)), std::istreambuf_iterator<char>());
  if (stream.bad()) return std::nullopt;
  return content;
}

// Fills in the request; the sentence says what is wrong, and is empty when nothing is.
std::string read_request(const Flags& flags, worker::OneShotRequest& request) {
  request.target = flags.request.back();
  if (flags.request.size() == 2) {
    request.method = flags.request.front();
  } else if (flags.body) {
    request.method = "POST";
  }
  if (!request.target.starts_with('/') && request.target != "*") {
    return fmt::format("the target {} does not begin with a slash; write it like /items?page=2",
                       config::in_quotes(request.target));
  }
  for (const std::string& field : flags.fields) {
    const auto colon = field.find(':');
    if (colon == std::string::npos || colon == 0) {
      return fmt::format("-H {} is no header field; write it as 'Name: value'",
                         config::in_quotes(field));
    }
    const auto value = field.find_first_not_of(" \t", colon + 1);
    request.fields.emplace_back(field.substr(0, colon),
                                value == std::string::npos ? "" : field.substr(value));
  }
  if (!flags.body) return {};
  auto body = body_of(*flags.body);
  if (!body) {
    return fmt::format("-d {}: this file cannot be read", config::in_quotes(*flags.body));
  }
  request.body = *std::move(body);
  return {};
}

std::string read_config(const Flags& flags, config::Config& config) {
  for (const std::string& name : flags.without) {
    if (const std::string fault = config::fault_of_capability(name); !fault.empty()) {
      return fmt::format("--without {}", fault);
    }
  }
  config.without = flags.without;
  if (!nlohmann::json::parse(flags.settings, nullptr, false).is_object()) {
    return fmt::format("--settings {} is no JSON object; write it like '{{\"key\": 1}}'",
                       config::in_quotes(flags.settings));
  }
  if (!flags.log_level) return {};
  const auto level = core::log::level_from(*flags.log_level);
  if (!level) {
    return fmt::format("--log-level {}: {}", config::in_quotes(*flags.log_level),
                       config::suggestion(*flags.log_level, config::kLogLevels));
  }
  config.log_level = *level;
  return {};
}

int report(const Flags& flags, const worker::OneShotResult& result) {
  if (!result.reasons.empty()) {
    const bool usage = result.reasons.front().id == "client.bad_request";
    if (usage) return usage_error("call", result.reasons.front().message);
    for (const core::Error& reason : result.reasons) {
      core::log::error("refused: {}: {}", flags.file, reason.message);
    }
    return kFailed;
  }
  if (flags.with_head) std::fwrite(result.head.data(), 1, result.head.size(), stdout);
  std::fwrite(result.body.data(), 1, result.body.size(), stdout);
  const bool written = std::fflush(stdout) == 0;
  return result.clean && written ? kDone : kFailed;
}

// Says how the app ended its process; the result is the exit status.
int report_end(const Flags& flags, int wait_status, const std::vector<std::byte>& last_words) {
  if (const auto crash = core::parse_crash_report(last_words)) {
    core::log::error("{}", core::summary(*crash));
    for (const std::string& line : core::to_lines(core::named_frames(*crash))) {
      core::log::error("{}: crashed at {}", flags.file, line);
    }
    return kFailed;
  }
  if (WIFEXITED(wait_status)) return WEXITSTATUS(wait_status);
  core::log::error("{}: it ended its process by signal {} ({})", flags.file, WTERMSIG(wait_status),
                   ::strsignal(WTERMSIG(wait_status)));
  return kFailed;
}

// What is there now: a process that the app left behind may keep it open.
std::vector<std::byte> read_rest(int file) {
  ::fcntl(file, F_SETFL, O_NONBLOCK);
  std::vector<std::byte> bytes;
  std::array<std::byte, 4096> piece;
  while (true) {
    const ssize_t count = ::read(file, piece.data(), piece.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return bytes;
    bytes.insert(bytes.end(), piece.begin(), piece.begin() + count);
  }
}

// Runs it in a child, so that an app that ends its process does not keep anybody from saying so.
int in_child(const Flags& flags, const std::function<int()>& run) {
  std::array<int, 2> ends{-1, -1};
  if (::pipe2(ends.data(), O_CLOEXEC) != 0) return run();
  // Ignored by who started this, it would take the child's status away.
  std::signal(SIGCHLD, SIG_DFL);
  const pid_t parent = ::getpid();
  const pid_t child = ::fork();
  if (child < 0) return run();
  if (child == 0) {
    ::close(ends[0]);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) std::_Exit(kFailed);
    core::install_crash_handler(ends[1]);
    return run();
  }
  ::close(ends[1]);
  int wait_status = 0;
  while (::waitpid(child, &wait_status, 0) < 0) {
    if (errno != EINTR) return kFailed;
  }
  // A report fits into the pipe.
  const std::vector<std::byte> last_words = read_rest(ends[0]);
  ::close(ends[0]);
  return report_end(flags, wait_status, last_words);
}

int call(const Flags& flags) {
  worker::OneShotRequest request;
  config::Config config;
  if (const std::string fault = read_request(flags, request); !fault.empty()) {
    return usage_error("call", fault);
  }
  if (const std::string fault = read_config(flags, config); !fault.empty()) {
    return usage_error("call", fault);
  }
  core::log::set_level(config.log_level);
  config::App app;
  app.file = flags.file;
  app.settings = nlohmann::json::parse(flags.settings).dump();
  return in_child(flags, [&] {
    const worker::OneShotResult result = worker::run_once(app, config, request);
    const int status = report(flags, result);
    // Static destructors would pull the ground from under what still runs.
    if (result.stuck) std::_Exit(status);
    return status;
  });
}

}  // namespace

Command add_call(CLI::App& root) {
  CLI::App* const app =
      root.add_subcommand("call", "Run one request through an app, without a socket");
  const auto flags = std::make_shared<Flags>();
  app->add_option("FILE", flags->file, "The app")->required()->type_name("");
  app->add_option("REQUEST", flags->request, "[METHOD] TARGET (default method: GET, with -d POST)")
      ->required()
      ->expected(1, 2)
      ->type_name("");
  app->add_flag("-i,--include", flags->with_head, "Print the head of the answer, too");
  app->add_option("-H,--header", flags->fields,
                  "Send this header field, 'Name: value'; repeat for more")
      ->type_name("FIELD")
      ->allow_extra_args(false);
  app->add_option("-d,--data", flags->body, "Send this body, or that of @FILE (@-: standard input)")
      ->type_name("BODY|@FILE")
      ->take_last();
  app->add_option("--settings", flags->settings, "The app's settings, a JSON object (default: {})")
      ->type_name("JSON")
      ->take_last();
  app->add_option("--without", flags->without,
                  "Withhold this capability, as in --without timer; repeat for more")
      ->type_name("NAME")
      ->allow_extra_args(false);
  app->add_option("--log-level", flags->log_level, "debug, info, warning or error (default: info)")
      ->type_name("LEVEL")
      ->take_last();
  app->footer(std::string(kCallExamples));
  return {app, [flags] { return call(*flags); }};
}

}  // namespace sonicorn::cli
