#include "config/file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include "config/bind.hpp"
#include "config/operation.hpp"
#include "config/range.hpp"
#include "config/toml.hpp"
#include "config/wording.hpp"

namespace sonicorn::config {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kLongestName = 64;
constexpr unsigned kDeepestSettings = 32;

std::string iso(const toml::date& date) {
  return fmt::format("{:04}-{:02}-{:02}", date.year, date.month, date.day);
}

std::string iso(const toml::time& time) {
  std::string whole = fmt::format("{:02}:{:02}:{:02}", time.hour, time.minute, time.second);
  if (time.nanosecond == 0) return whole;
  std::string fraction = fmt::format("{:09}", time.nanosecond);
  fraction.erase(fraction.find_last_not_of('0') + 1);
  return whole + "." + fraction;
}

std::string iso(const toml::date_time& moment) {
  std::string local = iso(moment.date) + "T" + iso(moment.time);
  if (!moment.offset) return local;
  const int minutes = moment.offset->minutes;
  if (minutes == 0) return local + "Z";
  return fmt::format("{}{}{:02}:{:02}", local, minutes < 0 ? '-' : '+', std::abs(minutes) / 60,
                     std::abs(minutes) % 60);
}

bool is_app_name(std::string_view text) {
  const auto is_word = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
  };
  return !text.empty() && text.size() <= kLongestName && is_word(text.front()) &&
         std::all_of(text.begin(), text.end(),
                     [&](char c) { return is_word(c) || c == '.' || c == '_' || c == '-'; });
}

// One pass over a parsed file. Errors are kept with their position, for tables are not iterated in
// the order of the text.
class Reader {
 public:
  Reader(const std::filesystem::path& file, const IsFile& exists, Config& config)
      : file_(file), exists_(exists), config_(config) {}

  std::vector<core::Error> read(std::string_view text);

 private:
  using Read = std::function<void(const toml::node&, std::string_view key)>;
  struct Key {
    std::string_view name;
    Read read;
  };

  void fail(toml::source_position where, std::string_view id, std::string_view what);
  void mistyped(const toml::node& node, std::string_view key, std::string_view what);

  // Hands each entry of `table` to the key of its name; `prefix` is what messages put before a
  // name.
  void read_table(const toml::table& table, std::string_view prefix, const std::vector<Key>& keys);
  void read_root(const toml::table& root);
  void read_lifecycle(const toml::node& node, std::string_view key);
  void read_reload(const toml::node& node, std::string_view key);
  void read_without(const toml::node& node, std::string_view key);
  // For one of the `known` words: `from` has its value, or nothing.
  template <class From, class Use>
  Read word(std::span<const std::string_view> known, std::string_view allowed_values, From from,
            Use use);
  template <class Use>
  Read overrun(Use use) {
    return word(kOverruns, kOverrunsAllowed, overrun_from, std::move(use));
  }
  void read_limits(const toml::node& node, std::string_view key);
  void read_workers(const toml::node& node, std::string_view key);
  void read_apps(const toml::node& node, std::string_view key);
  void read_app(const toml::table& table);
  void read_app_file(const toml::node& node, std::string_view key, App& app);
  void read_binds(const toml::node& node, std::string_view key);
  void read_bind(const toml::node& node, std::string_view key);
  void read_address(const toml::node& node, std::string_view key, std::function<void(Bind)> take);
  void read_health(const toml::node& node, std::string_view key);
  Json read_settings(const toml::node& node, unsigned depth);

  Read count(const CountRange& range, std::function<void(std::uint64_t)> use);
  Read time(const TimeRange& range, std::chrono::milliseconds& into);
  Read text(std::string_view allowed_values,
            std::function<void(const std::string&, const toml::node&)> use);
  // By a function of operation.hpp.
  template <class Into>
  Read apart(void (*part)(const toml::node&, std::string_view key, const Fail&, Into&),
             Into& into) {
    return [this, part, &into](const toml::node& node, std::string_view key) {
      part(node, key, fail_, into);
    };
  }

  std::filesystem::path resolved(const std::string& path) const {
    return file_.parent_path() / path;
  }

  const std::filesystem::path& file_;
  const IsFile& exists_;
  Config& config_;
  std::vector<std::pair<toml::source_position, core::Error>> errors_;
  const Fail fail_ = [this](toml::source_position where, std::string_view id,
                            std::string_view what) { fail(where, id, what); };
};

void Reader::fail(toml::source_position where, std::string_view id, std::string_view what) {
  errors_.emplace_back(where, core::host_error(id, fmt::format("{}:{}:{}: {}", file_.string(),
                                                               where.line, where.column, what)));
}

void Reader::mistyped(const toml::node& node, std::string_view key, std::string_view what) {
  fail(node.source().begin, "config.wrong_type",
       fmt::format("{} is {}; allowed is {}", key, type_of(node), what));
}

void Reader::read_table(const toml::table& table, std::string_view prefix,
                        const std::vector<Key>& keys) {
  for (const auto& [key, node] : table) {
    const std::string_view name = key.str();
    const auto known = std::find_if(keys.begin(), keys.end(),
                                    [name](const Key& entry) { return entry.name == name; });
    if (known != keys.end()) {
      known->read(node, fmt::format("{}{}", prefix, name));
      continue;
    }
    std::vector<std::string_view> names;
    for (const Key& entry : keys) names.push_back(entry.name);
    fail(key.source().begin, "config.unknown_key",
         fmt::format(
             "unknown key {}{}; {}", in_quotes(name),
             prefix.empty() ? "" : fmt::format(" in {}", prefix.substr(0, prefix.size() - 1)),
             suggestion(name, names)));
  }
}

Reader::Read Reader::count(const CountRange& range, std::function<void(std::uint64_t)> use) {
  return [this, range, use = std::move(use)](const toml::node& node, std::string_view key) {
    const auto* number = node.as_integer();
    if (number == nullptr) return mistyped(node, key, allowed(range));
    if (!contains(range, number->get())) {
      return fail(node.source().begin, "config.out_of_range",
                  fmt::format("{} is {}; allowed is {}", key, number->get(), allowed(range)));
    }
    use(static_cast<std::uint64_t>(number->get()));
  };
}

Reader::Read Reader::time(const TimeRange& range, std::chrono::milliseconds& into) {
  return [this, range, &into](const toml::node& node, std::string_view key) {
    if (!node.is_number()) return mistyped(node, key, allowed(range));
    const double seconds = node.is_integer() ? static_cast<double>(node.as_integer()->get())
                                             : node.as_floating_point()->get();
    if (!contains(range, seconds)) {
      return fail(node.source().begin, "config.out_of_range",
                  fmt::format("{} is {:g}; allowed is {}", key, seconds, allowed(range)));
    }
    into = milliseconds_from(seconds);
  };
}

Reader::Read Reader::text(std::string_view allowed_values,
                          std::function<void(const std::string&, const toml::node&)> use) {
  return [this, allowed_values, use = std::move(use)](const toml::node& node,
                                                      std::string_view key) {
    const auto* string = node.as_string();
    if (string == nullptr) return mistyped(node, key, allowed_values);
    if (string->get().empty() || string->get().find('\0') != std::string::npos) {
      return fail(
          node.source().begin, "config.out_of_range",
          fmt::format("{} is {}; allowed is {}", key, in_quotes(string->get()), allowed_values));
    }
    use(string->get(), node);
  };
}

std::vector<core::Error> Reader::read(std::string_view source) {
  const toml::parse_result parsed = toml::parse(source);
  if (!parsed) {
    const toml::parse_error& error = parsed.error();
    fail(error.source().begin, "config.syntax",
         fmt::format("this is not TOML: {}", one_line(error.description())));
  } else {
    read_root(parsed.table());
  }
  std::stable_sort(errors_.begin(), errors_.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<core::Error> sorted;
  for (auto& [where, error] : errors_) sorted.push_back(std::move(error));
  return sorted;
}

void Reader::read_root(const toml::table& root) {
  const Read skip_broken = [this](const toml::node& node, std::string_view key) {
    if (!node.is_boolean()) return mistyped(node, key, "true or false, without quotes");
    config_.skip_broken = node.as_boolean()->get();
  };
  const Read control = text(
      "the path of a Unix socket, in quotes",
      [this](const std::string& path, const toml::node&) { config_.control = resolved(path); });
  const auto health_path =
      text("a prefix like \"/-/health\", in quotes",
           [this](const std::string& value, const toml::node& path) {
             auto mount = health_mount(value);
             if (!mount) return fail(path.source().begin, mount.error().id, mount.error().message);
             config_.health_path = *std::move(mount);
           });
  read_table(root, "",
             {{"bind", [this](const auto& node, auto key) { read_binds(node, key); }},
              {"workers", [this](const auto& node, auto key) { read_workers(node, key); }},
              {"threads", count(kThreads, [this](auto n) { config_.threads = unsigned(n); })},
              {"blocking_threads",
               count(kBlockingThreads, [this](auto n) { config_.blocking_threads = unsigned(n); })},
              {"grace", time(kGrace, config_.grace)},
              {"load_time", time(kLoadTime, config_.load_time)},
              {"skip_broken", skip_broken},
              {"hooks", [this](const auto& node, auto) { read_hooks(node, fail_, config_.hooks); }},
              {"user", apart(read_account, config_.privileges.user)},
              {"group", apart(read_account, config_.privileges.group)},
              {"umask", apart(read_umask, config_.privileges.umask)},
              {"pid_file", text("the path of a file, in quotes",
                                [this](const std::string& path, const toml::node&) {
                                  config_.pid_file = resolved(path);
                                })},
              {"journal", text("the path of a file, in quotes",
                               [this](const std::string& path, const toml::node&) {
                                 config_.journal = resolved(path);
                               })},
              {"check_owners", apart(read_switch, config_.check_owners)},
              {"runtime_dir", text("the path of a folder, in quotes",
                                   [this](const std::string& path, const toml::node&) {
                                     config_.runtime_dir = resolved(path);
                                   })},
              {"log_level", word(kLogLevels, kLogLevelsAllowed, core::log::level_from,
                                 [this](auto level) { config_.log_level = level; })},
              {"log_format", word(kLogFormats, kLogFormatsAllowed, core::log::format_from,
                                  [this](auto format) { config_.log_format = format; })},
              {"log_file", text("the path of a file, in quotes",
                                [this](const std::string& path, const toml::node&) {
                                  config_.log_file = resolved(path);
                                })},
              {"access_log", text("the path of a file, in quotes, or \"-\" for standard output",
                                  [this](const std::string& path, const toml::node&) {
                                    config_.access_log =
                                        path == "-" ? std::filesystem::path(path) : resolved(path);
                                  })},
              {"access_log_format",
               word(kAccessLogFormats, kAccessLogFormatsAllowed, access_log_format_from,
                    [this](auto format) { config_.access_log_format = format; })},
              {"without", [this](const auto& node, auto key) { read_without(node, key); }},
              {"control", control},
              {"admin", control},
              {"health", [this](const auto& node, auto key) { read_health(node, key); }},
              {"health_path", health_path},
              {"limits", [this](const auto& node, auto key) { read_limits(node, key); }},
              {"lifecycle", [this](const auto& node, auto key) { read_lifecycle(node, key); }},
              {"reload", [this](const auto& node, auto key) { read_reload(node, key); }},
              {"app", [this](const auto& node, auto key) { read_apps(node, key); }}});
}

void Reader::read_limits(const toml::node& node, std::string_view key) {
  if (!node.is_table()) return mistyped(node, key, "a table, which begins with [limits]");
  Limits& limits = config_.limits;
  std::vector<Key> keys;
  for (const CountLimit& limit : kCountLimits) {
    keys.push_back({limit.name, count(limit.range, [&limits, member = limit.member](auto number) {
                      limits.*member = number;
                    })});
  }
  for (const TimeLimit& limit : kTimeLimits) {
    keys.push_back({limit.name, time(limit.range, limits.*limit.member)});
  }
  read_table(*node.as_table(), "limits.", keys);
}

// A number, or the table that has it as `count`.
void Reader::read_workers(const toml::node& node, std::string_view key) {
  Workers& workers = config_.workers;
  const Read number = count(kWorkers, [&workers](auto n) { workers.count = unsigned(n); });
  if (!node.is_table()) return number(node, key);
  std::vector<Key> keys{{"count", number}};
  for (const WorkersCount& each : kWorkersCounts) {
    keys.push_back({each.name, count(each.range, [&workers, member = each.member](auto n) {
                      workers.*member = n;
                    })});
  }
  for (const WorkersTime& each : kWorkersTimes) {
    keys.push_back({each.name, time(each.range, workers.*each.member)});
  }
  read_table(*node.as_table(), "workers.", keys);
}

void Reader::read_lifecycle(const toml::node& node, std::string_view key) {
  if (!node.is_table()) return mistyped(node, key, "a table, which begins with [lifecycle]");
  Lifecycle& lifecycle = config_.lifecycle;
  std::vector<Key> keys{
      {"overrun", overrun([&lifecycle](Overrun how) { lifecycle.overrun = how; })}};
  for (const LifecycleTime& limit : kLifecycleTimes) {
    keys.push_back({limit.name, time(limit.range, lifecycle.*limit.member)});
  }
  read_table(*node.as_table(), "lifecycle.", keys);
}

void Reader::read_reload(const toml::node& node, std::string_view key) {
  if (!node.is_table()) return mistyped(node, key, "a table, which begins with [reload]");
  Reload& reload = config_.reload;
  const Read rate = [this, &reload](const toml::node& value, std::string_view name) {
    const double share = value.is_number() ? value.value_or(-1.0) : -1.0;
    if (!(share >= 0 && share <= 1)) return mistyped(value, name, "a number from 0 to 1");
    reload.error_rate = share;
  };
  read_table(*node.as_table(), "reload.",
             {{"automatic", apart(read_switch, reload.automatic)},
              {"hold_time", time(kHoldTime, reload.hold_time)},
              {"probation", time(kProbation, reload.probation)},
              {"probation_requests",
               count(kProbationRequests, [&reload](auto n) { reload.probation_requests = n; })},
              {"error_rate", rate}});
}

template <class From, class Use>
Reader::Read Reader::word(std::span<const std::string_view> known, std::string_view allowed_values,
                          From from, Use use) {
  return [this, known, allowed_values, from, use = std::move(use)](const toml::node& node,
                                                                   std::string_view key) {
    const auto* name = node.as_string();
    if (name == nullptr) return mistyped(node, key, allowed_values);
    const auto value = from(name->get());
    if (value) return use(*value);
    fail(node.source().begin, "config.out_of_range",
         fmt::format("{} is {}; {}", key, in_quotes(name->get()), suggestion(name->get(), known)));
  };
}

void Reader::read_without(const toml::node& node, std::string_view key) {
  constexpr std::string_view kAllowed = "an array of capabilities, like [\"reload\", \"bus/1\"]";
  const toml::array* const names = node.as_array();
  if (names == nullptr) return mistyped(node, key, kAllowed);
  for (const toml::node& each : *names) {
    const auto* name = each.as_string();
    if (name == nullptr) {
      mistyped(each, "an entry of without", "the name of a capability, in quotes");
    } else if (const std::string fault = fault_of_capability(name->get()); !fault.empty()) {
      fail(each.source().begin, "config.unknown_capability", fault);
    } else {
      config_.without.push_back(name->get());
    }
  }
}

void Reader::read_apps(const toml::node& node, std::string_view key) {
  constexpr std::string_view kAllowed = "one or more tables, each beginning with [[app]]";
  const toml::array* const apps = node.as_array();
  if (apps == nullptr) return mistyped(node, key, kAllowed);
  for (const toml::node& app : *apps) {
    if (const toml::table* table = app.as_table()) {
      read_app(*table);
    } else {
      mistyped(app, "an entry of app", kAllowed);
    }
  }
}

void Reader::read_app(const toml::table& table) {
  const toml::source_position where = table.source().begin;
  App app;
  app.where = fmt::format("{}:{}", file_.string(), where.line);
  const auto mount = [&](const std::string& value, const toml::node& node) {
    auto normal = normal_mount(value);
    if (!normal) return fail(node.source().begin, normal.error().id, normal.error().message);
    app.mount = *std::move(normal);
  };
  const auto name = [&](const std::string& value, const toml::node& node) {
    if (!is_app_name(value)) {
      return fail(
          node.source().begin, "config.bad_name",
          fmt::format("app.name is {}; allowed are up to {} letters, digits, \".\", \"_\" and "
                      "\"-\", a letter or digit first",
                      in_quotes(value), kLongestName));
    }
    app.name = value;
  };
  const auto settings = [&](const toml::node& node, std::string_view key) {
    if (!node.is_table()) return mistyped(node, key, "a table, which begins with [app.settings]");
    app.settings = read_settings(node, 0).dump();
  };
  read_table(table, "app.",
             {{"file", [&](const auto& node, auto key) { read_app_file(node, key, app); }},
              {"mount", text("\"/\" or a prefix like \"/api\", in quotes", mount)},
              {"name", text("a name, in quotes", name)},
              {"max_body", count(kBodySize, [&](auto bytes) { app.body = bytes; })},
              {"overrun", overrun([&](Overrun how) { app.overrun = how; })},
              {"settings", settings}});
  if (!table.contains("file")) {
    fail(where, "config.missing_key",
         "this [[app]] names no file; add file = \"PATH.so\", relative to the folder of this file");
  }
  if (const App* const twin = same_app(config_.apps, app); twin != nullptr && !app.file.empty()) {
    fail(where, "config.duplicate_app",
         fmt::format("{} is on mount {} already, see {}; remove one of the two, or give it another "
                     "mount",
                     in_quotes(app.file.string()), app.mount, twin->where));
  }
  const auto namesake =
      std::find_if(config_.apps.begin(), config_.apps.end(),
                   [&](const App& other) { return !app.name.empty() && other.name == app.name; });
  if (namesake != config_.apps.end()) {
    fail(where, "config.duplicate_name",
         fmt::format("app.name is {} here and at {}; give each app a name of its own",
                     in_quotes(app.name), namesake->where));
  }
  config_.apps.push_back(std::move(app));
}

void Reader::read_app_file(const toml::node& node, std::string_view key, App& app) {
  const auto use = [&](const std::string& path, const toml::node&) {
    app.file = resolved(path);
    if (exists_(app.file)) return;
    const std::string looked_for =
        app.file == path ? "" : fmt::format(" (looked for {})", in_quotes(app.file.string()));
    fail(node.source().begin, "config.missing_file",
         fmt::format(
             "{} is {}, and there is no such file{}; build it, or correct the path, which is "
             "relative to the folder of this file",
             key, in_quotes(path), looked_for));
  };
  text("the path of a .so file, in quotes", use)(node, key);
}

void Reader::read_binds(const toml::node& node, std::string_view key) {
  const toml::array* const all = node.as_array();
  if (all == nullptr) return read_bind(node, key);
  for (const toml::node& one : *all) read_bind(one, "an entry of bind");
}

void Reader::read_bind(const toml::node& node, std::string_view key) {
  read_address(node, key, [this](Bind bind) { config_.binds.push_back(std::move(bind)); });
}

void Reader::read_health(const toml::node& node, std::string_view key) {
  read_address(node, key, [this](Bind bind) { config_.health = std::move(bind); });
}

void Reader::read_address(const toml::node& node, std::string_view key,
                          std::function<void(Bind)> take) {
  constexpr std::string_view kUnix = "unix:";
  const std::string_view word = key == "health" ? "health" : "bind";
  const auto use = [&](const std::string& value, const toml::node&) {
    const bool is_path = value.starts_with(kUnix) && value.size() > kUnix.size();
    auto bind = parse_bind(
        is_path ? fmt::format("{}{}", kUnix, resolved(value.substr(kUnix.size())).string())
                : value);
    if (!bind) {
      return fail(node.source().begin, bind.error().id,
                  fmt::format("{} {}", word, bind.error().message));
    }
    take(*std::move(bind));
  };
  text("\"HOST:PORT\", \"[IPV6]:PORT\", \"unix:PATH\" or an array of these", use)(node, key);
}

Json Reader::read_settings(const toml::node& node, unsigned depth) {
  if (depth > kDeepestSettings) {
    fail(node.source().begin, "config.bad_settings",
         fmt::format("these settings are nested too deeply; allowed are {} levels",
                     kDeepestSettings));
    return nullptr;
  }
  if (const toml::table* table = node.as_table()) {
    Json object = Json::object();
    for (const auto& [key, value] : *table) {
      object[std::string(key.str())] = read_settings(value, depth + 1);
    }
    return object;
  }
  if (const toml::array* array = node.as_array()) {
    Json list = Json::array();
    for (const toml::node& value : *array) list.push_back(read_settings(value, depth + 1));
    return list;
  }
  if (const auto* value = node.as_string()) return value->get();
  if (const auto* value = node.as_integer()) return value->get();
  if (const auto* value = node.as_boolean()) return value->get();
  if (const auto* value = node.as_date()) return iso(value->get());
  if (const auto* value = node.as_time()) return iso(value->get());
  if (const auto* value = node.as_date_time()) return iso(value->get());
  const auto* const number = node.as_floating_point();
  if (number != nullptr && std::isfinite(number->get())) return number->get();
  fail(node.source().begin, "config.bad_settings",
       "inf and nan cannot be settings, for JSON has no such numbers; write a finite number or a "
       "string");
  return nullptr;
}

}  // namespace

std::vector<core::Error> read_text(std::string_view text, const std::filesystem::path& file,
                                   const IsFile& exists, Config& config) {
  return Reader(file, exists, config).read(text);
}

}  // namespace sonicorn::config
