#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cstddef>
#include <deque>
#include <functional>
#include <nlohmann/json_fwd.hpp>
#include <string>

#include "config/hooks.hpp"
#include "process/child.hpp"
#include "process/run.hpp"

namespace sonicorn::supervisor {

// Runs the operator's commands of [hooks]. A command gets its context as one JSON object on its
// standard input; what it writes is logged, line by line, when it has ended.
//
// What is waited for before it is done (on_starting, pre_spawn) runs at once, one after another.
// All else runs one after another in the order of its events, beside that: so a hook that hangs
// delays later hooks, each for its time limit at most, and never the start of a worker. Those that
// wait are bounded in number; beyond that a hook is left out, with a line in the log.
//
// For the thread of `io`, on which children.reap() must be called after each SIGCHLD. `io` must
// outlive `children` and this; `io` runs no more once this is gone.
class Hooks {
 public:
  // Whether to go on: false when the command failed (was not run, ended with another status than
  // 0, was killed at its limit, or was left out) and its failure is fatal.
  using Done = std::function<void(bool ok)>;

  Hooks(boost::asio::io_context& io, process::Children& children, config::Hooks commands);
  Hooks(const Hooks&) = delete;
  Hooks& operator=(const Hooks&) = delete;

  // Whether there is a command for it.
  bool has(config::Hook hook) const { return commands_[hook].has_value(); }

  // `context` is an object; "hook", "pid" of the supervisor and "version" are added to it. `done`
  // may be empty; it is called once, later and from `io`, also when there is no command (with
  // true).
  //
  // on_exit comes after all that was asked for before. What of that has not begun when the time
  // limit of on_exit (without a command: the default one) is over, is left out.
  void run(config::Hook hook, nlohmann::json context, Done done);

  // Other commands, from a configuration that was read again; what was asked for already runs as
  // it was.
  void replace(config::Hooks commands) { commands_ = std::move(commands); }

 private:
  struct Task {
    config::Hook hook = config::Hook::on_exit;
    std::optional<config::HookCommand> command;  // absent: nothing to run
    std::string input;
    Done done;
  };

  // Tasks of which one at a time runs.
  struct Lane {
    std::deque<Task> waiting;
    bool is_busy = false;
  };

  void add(Lane& lane, Task task);
  void begin_next(Lane& lane);
  void begin(Lane& lane, Task task);
  void on_end(Lane& lane, const Task& task, const process::RunEnd& end);
  void answer_left_out(const Task& task);
  void limit_wait_of_exit(const Task& exit);

  boost::asio::io_context& io_;
  process::Children& children_;
  config::Hooks commands_;
  Lane asked_;  // on_starting, pre_spawn
  Lane told_;   // the others
  boost::asio::steady_timer exit_timer_;
};

}  // namespace sonicorn::supervisor
