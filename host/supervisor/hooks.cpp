#include "supervisor/hooks.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <boost/asio/post.hpp>
#include <nlohmann/json.hpp>
#include <string_view>
#include <utility>

#include "config/wording.hpp"
#include "core/log.hpp"
#include "core/version.hpp"

namespace sonicorn::supervisor {
namespace {

using config::Hook;

constexpr std::size_t kMostWaiting = 64;

bool is_asked(Hook hook) { return hook == Hook::on_starting || hook == Hook::pre_spawn; }

std::string to_input(Hook hook, nlohmann::json context) {
  context["hook"] = config::name_of(hook);
  context["pid"] = ::getpid();
  context["version"] = core::kVersion;
  // What an app or a file name put in need not be UTF-8.
  return context.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

// What went wrong; empty: nothing.
std::string fault_of(const process::RunEnd& end, const config::HookCommand& command) {
  if (end.error) return "was not run: " + end.error->message;
  if (end.timed_out) {
    return fmt::format("did not end within {:g} s and was killed",
                       std::chrono::duration<double>(command.time).count());
  }
  return end.ok() ? "" : "ended with " + end.ending();
}

void log_output(std::string_view hook, const process::RunEnd& end) {
  std::string_view rest = end.output;
  while (!rest.empty()) {
    const std::size_t length = rest.find('\n');
    core::log::info("hook {}: {}", hook, rest.substr(0, length));
    rest.remove_prefix(length == std::string_view::npos ? rest.size() : length + 1);
  }
  if (end.cut) core::log::info("hook {}: it wrote more than is kept of it", hook);
}

}  // namespace

Hooks::Hooks(boost::asio::io_context& io, process::Children& children, config::Hooks commands)
    : io_(io), children_(children), commands_(std::move(commands)), exit_timer_(io) {}

void Hooks::run(Hook hook, nlohmann::json context, Done done) {
  Task task{hook, commands_[hook], "", std::move(done)};
  if (task.command) task.input = to_input(hook, std::move(context));
  if (!task.command && hook != Hook::on_exit) {
    if (task.done) {
      boost::asio::post(io_, [answer = std::move(task.done)] { answer(true); });
    }
    return;
  }
  if (hook == Hook::on_exit) limit_wait_of_exit(task);
  add(is_asked(hook) ? asked_ : told_, std::move(task));
}

void Hooks::add(Lane& lane, Task task) {
  const bool may_be_left_out = &lane == &told_ && task.hook != Hook::on_exit;
  if (may_be_left_out && lane.waiting.size() >= kMostWaiting) {
    core::log::error(
        "hook {}: it is left out, for {} wait already; let hooks end sooner, or lower their time",
        config::name_of(task.hook), kMostWaiting);
    return answer_left_out(task);
  }
  lane.waiting.push_back(std::move(task));
  begin_next(lane);
}

void Hooks::begin_next(Lane& lane) {
  if (lane.is_busy || lane.waiting.empty()) return;
  Task task = std::move(lane.waiting.front());
  lane.waiting.pop_front();
  lane.is_busy = true;
  if (task.hook == Hook::on_exit) exit_timer_.cancel();
  begin(lane, std::move(task));
}

void Hooks::begin(Lane& lane, Task task) {
  if (!task.command) {
    boost::asio::post(io_, [this, &lane, ended = std::move(task)] { on_end(lane, ended, {}); });
    return;
  }
  core::log::debug("hook {}: runs {}", config::name_of(task.hook),
                   config::in_quotes(task.command->text));
  process::RunRequest request;
  request.argv = task.command->argv;
  request.input = std::move(task.input);
  request.limit = task.command->time;
  process::run(io_, children_, std::move(request),
               [this, &lane, begun = std::move(task)](const process::RunEnd& end) {
                 on_end(lane, begun, end);
               });
}

void Hooks::on_end(Lane& lane, const Task& task, const process::RunEnd& end) {
  bool ok = true;
  if (task.command) {
    const std::string_view name = config::name_of(task.hook);
    log_output(name, end);
    const std::string fault = fault_of(end, *task.command);
    ok = fault.empty() || !task.command->fatal;
    if (!fault.empty()) {
      const std::string line =
          fmt::format("hook {}: {} {}", name, config::in_quotes(task.command->text), fault);
      core::log::write(ok ? core::log::Level::warning : core::log::Level::error, line);
    }
  }
  lane.is_busy = false;
  begin_next(lane);
  // Last, for it may ask for more.
  if (task.done) task.done(ok);
}

void Hooks::answer_left_out(const Task& task) {
  if (!task.done) return;
  boost::asio::post(io_, [answer = task.done, ok = !task.command->fatal] { answer(ok); });
}

void Hooks::limit_wait_of_exit(const Task& exit) {
  const auto limit = exit.command ? exit.command->time : config::HookCommand{}.time;
  exit_timer_.expires_after(limit);
  exit_timer_.async_wait([this](boost::system::error_code error) {
    if (error) return;
    std::deque<Task> exits;
    std::size_t left_out = 0;
    for (Task& task : told_.waiting) {
      if (task.hook == Hook::on_exit) {
        exits.push_back(std::move(task));
      } else {
        answer_left_out(task);
        ++left_out;
      }
    }
    told_.waiting = std::move(exits);
    if (left_out > 0) {
      core::log::error("{} hooks that waited are left out, for the server ends", left_out);
    }
  });
}

}  // namespace sonicorn::supervisor
