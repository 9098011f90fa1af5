#include "supervisor/serve.hpp"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <memory>
#include <string>

#include "admin/control_path.hpp"
#include "admin/endpoint.hpp"
#include "cli/command.hpp"
#include "cli/configuration.hpp"
#include "config/load.hpp"
#include "config/range.hpp"
#include "core/log.hpp"
#include "core/outlet.hpp"

namespace sonicorn::cli {
namespace {

constexpr std::string_view kServeExamples = R"(Examples:
  sonicorn serve ./hello.so
  sonicorn serve /=./site.so /api=./api.so --bind 0.0.0.0:8080 --bind unix:/run/site.sock
  sonicorn serve -c sonicorn.toml --log-level debug

A flag wins over the file. --bind replaces the addresses of the file; apps named here are added to those
of the file. Requests go to the app with the longest mount that matches.

A supervisor, which loads no app, keeps the addresses and the workers. SIGTERM, SIGINT and SIGQUIT stop
it: no new connections, the requests in flight finish within the grace, each app's shutdown is called
once; a second signal ends it at once. SIGHUP reads the configuration again, SIGUSR1 opens the log files
again, SIGTTIN and SIGTTOU start and stop a worker. 'sonicorn status' and its like ask a running server.

Exit status: 0 stopped as asked, 1 it could not start or an app failed, 2 the command line is wrong.)";

// Where the log is for machines, so is what keeps it from beginning.
void tell_errors(const config::Loaded& loaded) {
  if (loaded.config.log_format == core::log::Format::text) return print_errors(loaded.errors);
  core::log::set_format(loaded.config.log_format);
  for (const core::Error& error : loaded.errors) core::log::error("{}", error.message);
}

int serve(const config::Flags& flags) {
  if (!flags.file && flags.apps.empty()) {
    return usage_error("serve",
                       "no app: name a .so file, as in \"sonicorn serve ./hello.so\", or a "
                       "configuration with -c FILE");
  }
  const auto text = config::read_file(flags);
  config::Loaded loaded = text ? read_configuration(flags, *text) : config::load(flags);
  if (!loaded.errors.empty()) {
    tell_errors(loaded);
    const bool usage =
        std::any_of(loaded.errors.begin(), loaded.errors.end(),
                    [](const core::Error& error) { return error.id == "config.bad_flag"; });
    return usage ? kUsage : kFailed;
  }
  if (loaded.config.privileges.umask) ::umask(*loaded.config.privileges.umask);
  if (!open_log(loaded.config)) return kFailed;
  const std::filesystem::path& access_log = loaded.config.access_log;
  if (!access_log.empty() && access_log != "-") {
    // The workers write it.
    if (const auto opened = core::Outlet::open(access_log); !opened) {
      core::log::error("the access log {}; name another file (--access-log)",
                       opened.error().message);
      return kFailed;
    }
  }
  const std::filesystem::path journal = admin::usual_journal_path(loaded.config.control);
  return supervisor::serve({.flags = flags,
                            .text = *text,
                            .config = std::move(loaded.config),
                            .open_control = &admin::open_control,
                            .journal = journal,
                            .read = &read_configuration});
}

void add_operation(CLI::App& app, config::Flags& flags) {
  app.add_option("--user", flags.user,
                 "Become this user, a name or number, once the addresses are bound;\n"
                 "only root may (default: who started it)")
      ->type_name("USER")
      ->take_last();
  app.add_option("--group", flags.group, "And this group (default: the user's)")
      ->type_name("GROUP")
      ->take_last();
  app.add_option("--pid-file", flags.pid_file, "Keep the process's id in this file")
      ->type_name("PATH")
      ->take_last();
  app.add_option(
         "--journal", flags.journal,
         "Keep the journal of lifecycle events, which 'sonicorn history' shows, in this file,\n"
         "which outlives the server (default: beside its control socket)")
      ->type_name("PATH")
      ->take_last();
  // A flag bound to a variable would set it, also when it is not there.
  app.add_flag_function(
      "--check-owners,!--no-check-owners",
      [&flags](std::int64_t count) { flags.check_owners = count > 0; },
      "Refuse app files that others than root and this user may change\n"
      "(default: only when run as root)");
}

}  // namespace

Command add_serve(CLI::App& root) {
  CLI::App* const app =
      root.add_subcommand("serve", "Serve apps over HTTP until a signal stops it");
  const auto flags = std::make_shared<config::Flags>();
  app->add_option("FILE", flags->apps,
                  "FILE.so, or /MOUNT=FILE.so to serve the app below a prefix\n(default mount: /)")
      ->type_name("");
  app->add_option("-c,--config", flags->file, "Read this TOML file; 'sonicorn check' checks it")
      ->type_name("FILE")
      ->take_last();
  app->add_option("-b,--bind", flags->binds,
                  "Listen on HOST:PORT, [IPV6]:PORT or unix:PATH; repeat for more.\n"
                  "Port 0 lets the kernel choose; what was bound is printed\n"
                  "(default: 127.0.0.1:8000)")
      ->type_name("ADDRESS")
      ->allow_extra_args(false);
  app->add_option("-w,--workers", flags->workers,
                  fmt::format("Processes that serve, each with all apps:\n{} (default: {})",
                              allowed(config::kWorkers), config::Workers{}.count))
      ->type_name("N")
      ->take_last();
  app->add_option(
         "-t,--threads", flags->threads,
         fmt::format("Threads of each worker for connections and for apps that\nnever block: "
                     "{} (default: the processors available)",
                     allowed(config::kThreads)))
      ->type_name("N")
      ->take_last();
  app->add_option("--blocking-threads", flags->blocking_threads,
                  fmt::format("At most so many threads for apps that may block:\n"
                              "{} (default: {})",
                              allowed(config::kBlockingThreads), config::Config{}.blocking_threads))
      ->type_name("N")
      ->take_last();
  app->add_option("--grace", flags->grace,
                  fmt::format("How long requests in flight may take when the server stops:\n"
                              "{}, fractions allowed (default: {})",
                              allowed(config::kGrace), config::Config{}.grace.count() / 1000))
      ->type_name("SECONDS")
      ->take_last();
  app->add_flag("--skip-broken", flags->skip_broken,
                "Serve without apps that are refused, instead of not starting");
  app->add_flag("--reload", flags->reload,
                "Reload an app when its file has changed, once the new file is complete");
  add_operation(*app, *flags);
  app->add_option("--without", flags->without,
                  "Withhold this capability from all apps, as in --without bus or\n"
                  "--without bus/1; repeat for more. An app that requires it is refused")
      ->type_name("NAME")
      ->allow_extra_args(false);
  app->add_option(
         "--control,--admin", flags->control,
         "The operator's Unix socket, mode 0600, where 'sonicorn status' and its like ask\n"
         "(default: PID.sock in the folder of the system where they look for it)")
      ->type_name("PATH")
      ->take_last();
  app->add_option("--health", flags->health,
                  "Answer /livez and /readyz on this address, too, as in --health 127.0.0.1:9000")
      ->type_name("ADDRESS")
      ->take_last();
  app->add_option("--health-path", flags->health_path,
                  "Answer PREFIX/livez and PREFIX/readyz on the addresses of the apps, too,\n"
                  "as in --health-path /-/health")
      ->type_name("PREFIX")
      ->take_last();
  app->add_option("--log-level", flags->log_level, "debug, info, warning or error (default: info)")
      ->type_name("LEVEL")
      ->take_last();
  app->add_option("--log-format", flags->log_format,
                  "text, or json: an object a line (default: text)")
      ->type_name("FORMAT")
      ->take_last();
  app->add_option("--log-file", flags->log_file,
                  "Add the log to this file; SIGUSR1 opens it again (default: standard error)")
      ->type_name("PATH")
      ->take_last();
  app->add_option("--access-log", flags->access_log,
                  "Add a line for each request to this file, or - for standard output;\n"
                  "SIGUSR1 opens it again (default: none)")
      ->type_name("PATH")
      ->take_last();
  app->add_option("--access-log-format", flags->access_log_format,
                  "common, combined or json (default: combined)")
      ->type_name("FORMAT")
      ->take_last();
  app->footer(std::string(kServeExamples));
  return {app, [flags] { return serve(*flags); }};
}

}  // namespace sonicorn::cli
