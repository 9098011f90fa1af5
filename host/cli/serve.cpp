#include "worker/serve.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <string>

#include "admin/endpoint.hpp"
#include "cli/command.hpp"
#include "config/load.hpp"
#include "config/range.hpp"
#include "core/log.hpp"
#include "http/access_log.hpp"

namespace sonicorn::cli {
namespace {

constexpr std::string_view kFooter = R"(Examples:
  sonicorn serve ./hello.so
  sonicorn serve /=./site.so /api=./api.so --bind 0.0.0.0:8080 --bind unix:/run/site.sock
  sonicorn serve -c sonicorn.toml --log-level debug

A flag wins over the file. --bind replaces the addresses of the file; apps named here are added to those
of the file. Requests go to the app with the longest mount that matches.

SIGTERM and SIGINT stop it: no new connections, the requests in flight finish within the grace, each
app's shutdown is called once. A second signal ends it at once.

Exit status: 0 stopped as asked, 1 it could not start or an app failed, 2 the command line is wrong.)";

// For a slow reader of the access log to take what is left.
constexpr std::chrono::milliseconds kLastLines{500};

// A file that is not there is a broken app like any other: where those are to be skipped, the
// server reports it when it loads what there is.
void forgive_missing_files(config::Loaded& loaded) {
  if (!loaded.config.skip_broken) return;
  std::erase_if(loaded.errors,
                [](const core::Error& error) { return error.id == "config.missing_file"; });
}

// False when one cannot be written, which is printed.
bool open_logs(const config::Config& config) {
  core::log::set_level(config.log_level);
  core::log::set_format(config.log_format);
  if (!config.log_file.empty()) {
    if (const auto opened = core::log::open_file(config.log_file); !opened) {
      print_errors(std::array{core::host_error(
          opened.error().id,
          fmt::format("the log file {}; name another one (--log-file)", opened.error().message))});
      return false;
    }
  }
  const auto opened = http::AccessLog::open(config.access_log, config.access_log_format);
  if (!opened) print_errors(std::array{opened.error()});
  return opened.has_value();
}

int serve(const config::Flags& flags) {
  if (!flags.file && flags.apps.empty()) {
    return usage_error("serve",
                       "no app: name a .so file, as in \"sonicorn serve ./hello.so\", or a "
                       "configuration with -c FILE");
  }
  config::Loaded loaded = config::load(flags);
  forgive_missing_files(loaded);
  if (!loaded.errors.empty()) {
    print_errors(loaded.errors);
    const bool usage =
        std::any_of(loaded.errors.begin(), loaded.errors.end(),
                    [](const core::Error& error) { return error.id == "config.bad_flag"; });
    return usage ? kUsage : kFailed;
  }
  if (!open_logs(loaded.config)) return kFailed;
  worker::Extensions extensions;
  extensions.reread = [flags] {
    config::Loaded fresh = config::load(flags);
    forgive_missing_files(fresh);
    return fresh;
  };
  if (!loaded.config.admin.empty()) {
    extensions.open_admin = [path = loaded.config.admin](boost::asio::io_context& io,
                                                         worker::Overview& overview) {
      return admin::open_endpoint(io, overview, path);
    };
  }
  const int status = worker::serve(loaded.config, extensions);
  if (http::AccessLog* const log = http::AccessLog::of_process()) log->flush(kLastLines);
  return status;
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
  app->add_option("-t,--threads", flags->threads,
                  fmt::format("Threads for connections and for apps that never block:\n"
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
  app->add_option("--without", flags->without,
                  "Withhold this capability from all apps, as in --without bus or\n"
                  "--without bus/1; repeat for more. An app that requires it is refused")
      ->type_name("NAME")
      ->allow_extra_args(false);
  app->add_option("--admin", flags->admin,
                  "Serve /readyz, /livez, /metrics and /apps to the operator on this Unix socket\n"
                  "(mode 0600; default: none)")
      ->type_name("PATH")
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
  app->footer(std::string(kFooter));
  return {app, [flags] { return serve(*flags); }};
}

}  // namespace sonicorn::cli
