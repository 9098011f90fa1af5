#include "config/load.hpp"

#include <fmt/format.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <span>
#include <system_error>

#include "config/bind.hpp"
#include "config/file.hpp"
#include "config/mount.hpp"
#include "config/range.hpp"
#include "config/wording.hpp"
#include "core/result.hpp"

namespace sonicorn::config {
namespace {

constexpr std::size_t kLargestFile = 1 << 20;

core::Error unreadable(const std::filesystem::path& file, std::string_view what) {
  return core::host_error("config.unreadable",
                          fmt::format("{}: {}; name a readable TOML file", file.string(), what));
}

core::Result<std::string> read_whole(const std::filesystem::path& file) {
  std::error_code failure;
  if (std::filesystem::is_directory(file, failure)) return unreadable(file, "this is a folder");
  errno = 0;
  std::ifstream stream(file, std::ios::binary);
  if (!stream) return unreadable(file, std::generic_category().message(errno));
  std::string text(kLargestFile + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (stream.bad()) return unreadable(file, "it cannot be read");
  text.resize(static_cast<std::size_t>(stream.gcount()));
  if (text.size() > kLargestFile) return unreadable(file, "it is larger than 1 MiB");
  return core::Result<std::string>(boost::system::in_place_value, std::move(text));
}

void add_apps(const Flags& flags, Loaded& loaded) {
  for (const std::string& argument : flags.apps) {
    auto parsed = parse_app_argument(argument);
    if (!parsed) {
      loaded.errors.push_back(parsed.error());
      continue;
    }
    App app;
    app.file = std::move(parsed->file);
    app.mount = std::move(parsed->mount);
    if (!is_file(app.file)) {
      loaded.errors.push_back(core::host_error(
          "config.missing_file",
          fmt::format("{}: no such file; build it, or correct the path (a mount is written "
                      "/MOUNT=FILE)",
                      app.file.string())));
    }
    if (same_app(loaded.config.apps, app) != nullptr) {
      loaded.errors.push_back(core::host_error(
          "config.duplicate_app",
          fmt::format(
              "{}: it is on mount {} already; remove one of the two, or give it another mount",
              app.file.string(), app.mount)));
    }
    loaded.config.apps.push_back(std::move(app));
  }
}

void set_binds(const Flags& flags, Loaded& loaded) {
  std::vector<Bind>& binds = loaded.config.binds;
  if (!flags.binds.empty()) binds.clear();
  for (const std::string& text : flags.binds) {
    auto bind = parse_bind(text);
    if (bind) {
      binds.push_back(*std::move(bind));
    } else {
      loaded.errors.push_back(
          core::host_error("config.bad_flag", fmt::format("--bind {}", bind.error().message)));
    }
  }
  if (binds.empty()) binds.emplace_back();
  for (auto bind = binds.begin(); bind != binds.end(); ++bind) {
    const bool chosen_by_kernel = bind->kind == Bind::Kind::tcp && bind->port == 0;
    if (chosen_by_kernel || std::find(binds.begin(), bind, *bind) == bind) continue;
    loaded.errors.push_back(
        core::host_error("config.duplicate_bind",
                         fmt::format("{} is to be bound twice; name it once", to_string(*bind))));
  }
}

template <class Value, class Target>
void take(core::Result<Value> parsed, Target& target, std::vector<core::Error>& errors) {
  if (parsed) {
    target = static_cast<Target>(*parsed);
  } else {
    errors.push_back(parsed.error());
  }
}

void set_account(std::string_view flag, const std::optional<std::string>& name, std::string& into,
                 Loaded& loaded) {
  if (!name) return;
  into = *name;
  if (!into.empty()) return;
  loaded.errors.push_back(core::host_error(
      "config.bad_flag", fmt::format("{} \"\": allowed is a name or a number", flag)));
}

void set_operation(const Flags& flags, Loaded& loaded) {
  Privileges& privileges = loaded.config.privileges;
  set_account("--user", flags.user, privileges.user, loaded);
  set_account("--group", flags.group, privileges.group, loaded);
  if (flags.pid_file) loaded.config.pid_file = *flags.pid_file;
  if (flags.journal) loaded.config.journal = *flags.journal;
  if (flags.check_owners) loaded.config.check_owners = *flags.check_owners;
}

// One of the `known` words: `from` has its value, or nothing.
template <class From, class Target>
void take_word(std::string_view flag, const std::optional<std::string>& word,
               std::span<const std::string_view> known, From from, Target& target,
               std::vector<core::Error>& errors) {
  if (!word) return;
  if (const auto value = from(*word)) {
    target = *value;
  } else {
    errors.push_back(core::host_error(
        "config.bad_flag",
        fmt::format("{} {}: {}", flag, in_quotes(*word), suggestion(*word, known))));
  }
}

void set_logs(const Flags& flags, Loaded& loaded) {
  Config& config = loaded.config;
  take_word("--log-level", flags.log_level, kLogLevels, core::log::level_from, config.log_level,
            loaded.errors);
  take_word("--log-format", flags.log_format, kLogFormats, core::log::format_from,
            config.log_format, loaded.errors);
  take_word("--access-log-format", flags.access_log_format, kAccessLogFormats,
            access_log_format_from, config.access_log_format, loaded.errors);
  if (flags.log_file) config.log_file = *flags.log_file;
  if (flags.access_log) config.access_log = *flags.access_log;
}

void set_values(const Flags& flags, Loaded& loaded) {
  Config& config = loaded.config;
  if (flags.workers) {
    take(parse_count("--workers", *flags.workers, kWorkers), config.workers.count, loaded.errors);
  }
  if (flags.threads) {
    take(parse_count("--threads", *flags.threads, kThreads), config.threads, loaded.errors);
  }
  if (flags.blocking_threads) {
    take(parse_count("--blocking-threads", *flags.blocking_threads, kBlockingThreads),
         config.blocking_threads, loaded.errors);
  }
  if (flags.grace) take(parse_time("--grace", *flags.grace, kGrace), config.grace, loaded.errors);
  if (flags.skip_broken) config.skip_broken = true;
  if (flags.reload) config.reload.automatic = true;
  if (flags.control) config.control = *flags.control;
  if (flags.health) {
    if (auto bind = parse_bind(*flags.health)) {
      config.health = *std::move(bind);
    } else {
      loaded.errors.push_back(
          core::host_error("config.bad_flag", fmt::format("--health {}", bind.error().message)));
    }
  }
  if (flags.health_path) {
    if (auto mount = health_mount(*flags.health_path)) {
      config.health_path = *std::move(mount);
    } else {
      loaded.errors.push_back(core::host_error(
          "config.bad_flag", fmt::format("--health-path: {}", mount.error().message)));
    }
  }
  for (const std::string& name : flags.without) {
    if (const std::string fault = fault_of_capability(name); !fault.empty()) {
      loaded.errors.push_back(
          core::host_error("config.bad_flag", fmt::format("--without {}", fault)));
    }
    config.without.push_back(name);
  }
  set_logs(flags, loaded);
}

core::Error no_app(const Flags& flags) {
  if (flags.file && flags.apps.empty()) {
    return core::host_error(
        "config.no_app",
        fmt::format("{}: no app: name a .so file in it, [[app]] and then file = \"hello.so\"",
                    flags.file->string()));
  }
  return core::host_error("config.no_app",
                          "no app: name a .so file, as in \"sonicorn serve ./hello.so\", or a "
                          "configuration with -c FILE.toml");
}

Loaded load_text(const Flags& flags, const core::Result<std::string>& text) {
  Loaded loaded;
  loaded.config.threads = available_processors();
  loaded.config.check_owners = ::geteuid() == 0;
  bool is_file_read = true;
  if (flags.file) {
    if (text) {
      loaded.errors = read_text(*text, *flags.file, is_file, loaded.config);
      is_file_read = loaded.errors.empty();
    } else {
      loaded.errors.push_back(text.error());
      is_file_read = false;
    }
  }
  add_apps(flags, loaded);
  set_binds(flags, loaded);
  set_values(flags, loaded);
  set_operation(flags, loaded);
  if (loaded.config.apps.empty() && is_file_read && flags.apps.empty()) {
    loaded.errors.push_back(no_app(flags));
  }
  return loaded;
}

}  // namespace

core::Result<std::string> read_file(const Flags& flags) {
  return flags.file ? read_whole(*flags.file) : std::string();
}

Loaded load(const Flags& flags) {
  const auto text = read_file(flags);
  return load_text(flags, text);
}

Loaded load(const Flags& flags, const std::string& text) { return load_text(flags, text); }

unsigned available_processors() {
  // cpu_set_t holds 1024 processors, as many as threads may be.
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return static_cast<unsigned>(std::max(1, CPU_COUNT(&set)));
}

}  // namespace sonicorn::config
