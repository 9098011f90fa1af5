#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <span>
#include <string_view>

#include "core/error.hpp"

namespace sonicorn::cli {

inline constexpr int kDone = 0;
inline constexpr int kFailed = 1;
inline constexpr int kUsage = 2;

// One subcommand: its part of the command line, and what it does. `run` returns the exit status; it
// is called once, after the command line was read, and owns what was read.
struct Command {
  CLI::App* app = nullptr;
  std::function<int()> run;
};

Command add_new(CLI::App& root);
Command add_dev(CLI::App& root);
Command add_serve(CLI::App& root);
Command add_inspect(CLI::App& root);
Command add_call(CLI::App& root);
Command add_check(CLI::App& root);
Command add_status(CLI::App& root);
Command add_apps(CLI::App& root);
Command add_workers(CLI::App& root);
Command add_drain(CLI::App& root);
Command add_stop(CLI::App& root);
Command add_restart_worker(CLI::App& root);
Command add_unquarantine(CLI::App& root);
Command add_check_child(CLI::App& root);
Command add_history(CLI::App& root);
Command add_plan(CLI::App& root);
Command add_reload(CLI::App& root);
Command add_rollback(CLI::App& root);
Command add_commit(CLI::App& root);
Command add_make_build(CLI::App& root);
Command add_trial_load(CLI::App& root);
Command add_worker(CLI::App& root);
Command add_crash_report(CLI::App& root);

// Each error as one line on standard error, without a prefix, so that what begins with
// FILE:LINE:COLUMN is understood by editors.
void print_errors(std::span<const core::Error> errors);

// "sonicorn serve: WHAT; see 'sonicorn serve --help'" on standard error. Returns kUsage.
// `subcommand` may be empty.
int usage_error(std::string_view subcommand, std::string_view what);

}  // namespace sonicorn::cli
