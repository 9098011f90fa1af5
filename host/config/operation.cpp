#include "config/operation.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

#include "config/range.hpp"
#include "config/wording.hpp"

namespace sonicorn::config {
namespace {

constexpr TimeRange kHookTime{std::chrono::milliseconds(10), std::chrono::hours(1)};
constexpr std::string_view kCommandAllowed =
    "a command line in quotes, or an array like [\"program\", \"argument\"]";
constexpr std::string_view kHookAllowed =
    "a command line in quotes, an array like [\"program\", \"argument\"], or a table like "
    "{command = \"...\", time = 10, fatal = false}";
constexpr std::string_view kHookKeys[] = {"command", "time", "fatal"};

// Where those went that come from gunicorn.
constexpr std::pair<std::string_view, std::string_view> kGunicorn[] = {
    {"pre_fork", "write pre_spawn"},
    {"post_fork", "write post_spawn"},
    {"post_worker_init", "write worker_ready"},
    {"worker_int", "write worker_stopping"},
    {"child_exit", "write worker_exit"},
    {"pre_request", "export sonicorn_pre_request from an app"},
    {"post_request", "export sonicorn_post_request from an app"},
    {"pre_exec", "the server never executes a new one of itself in its place, so drop it"},
};

bool is_plain(std::string_view text) {
  return !text.empty() && text.find('\0') == std::string_view::npos;
}

// Of one command of [hooks].
class HookReader {
 public:
  HookReader(std::string key, const Fail& fail, HookCommand& into)
      : key_(std::move(key)), fail_(fail), into_(into) {}

  // Whether it is right.
  bool read(const toml::node& node) {
    if (const toml::table* const table = node.as_table()) {
      read_table(*table);
    } else {
      read_command(node, key_, kHookAllowed);
    }
    return right_;
  }

 private:
  void wrong(const toml::node& node, std::string_view id, std::string_view what) {
    right_ = false;
    fail_(node.source().begin, id, what);
  }
  void mistyped(const toml::node& node, std::string_view key, std::string_view allowed_values) {
    wrong(node, "config.wrong_type",
          fmt::format("{} is {}; allowed is {}", key, type_of(node), allowed_values));
  }

  void read_table(const toml::table& table) {
    for (const auto& [name, node] : table) {
      const std::string key = fmt::format("{}.{}", key_, name.str());
      if (name.str() == "command") {
        read_command(node, key, kCommandAllowed);
      } else if (name.str() == "time") {
        read_time(node, key);
      } else if (name.str() == "fatal") {
        // Named anew, for clang captures no structured binding.
        const toml::node& fatal = node;
        read_switch(
            fatal, key, [&](auto, auto id, auto what) { wrong(fatal, id, what); }, into_.fatal);
      } else {
        right_ = false;
        fail_(name.source().begin, "config.unknown_key",
              fmt::format("unknown key {} in {}; {}", in_quotes(name.str()), key_,
                          suggestion(name.str(), kHookKeys)));
      }
    }
    if (table.contains("command")) return;
    wrong(table, "config.missing_key",
          fmt::format("{} has no command; add command = \"...\"", key_));
  }

  void read_command(const toml::node& node, std::string_view key, std::string_view allowed_values) {
    if (const auto* const line = node.as_string()) {
      if (!is_plain(line->get())) return out_of_range(node, key, in_quotes(line->get()));
      into_.argv = {"/bin/sh", "-c", line->get()};
      into_.text = line->get();
      return;
    }
    const toml::array* const words = node.as_array();
    if (words == nullptr) return mistyped(node, key, allowed_values);
    if (words->empty()) return out_of_range(node, key, "an array without anything in it");
    for (const toml::node& each : *words) {
      const auto* const word = each.as_string();
      if (word == nullptr) {
        mistyped(each, fmt::format("an entry of {}", key), "a word in quotes");
      } else if (word->get().find('\0') != std::string::npos ||
                 (into_.argv.empty() && word->get().empty())) {
        out_of_range(each, fmt::format("an entry of {}", key), in_quotes(word->get()));
      } else {
        into_.text += into_.argv.empty() ? word->get() : " " + word->get();
        into_.argv.push_back(word->get());
      }
    }
  }

  void out_of_range(const toml::node& node, std::string_view key, std::string_view what) {
    wrong(node, "config.out_of_range",
          fmt::format("{} is {}; allowed is {}", key, what, kCommandAllowed));
  }

  void read_time(const toml::node& node, std::string_view key) {
    if (!node.is_number()) return mistyped(node, key, allowed(kHookTime));
    const double seconds = node.is_integer() ? static_cast<double>(node.as_integer()->get())
                                             : node.as_floating_point()->get();
    if (contains(kHookTime, seconds)) {
      into_.time = milliseconds_from(seconds);
      return;
    }
    wrong(node, "config.out_of_range",
          fmt::format("{} is {:g}; allowed is {}", key, seconds, allowed(kHookTime)));
  }

  std::string key_;
  const Fail& fail_;
  HookCommand& into_;
  bool right_ = true;
};

std::string remedy_for(std::string_view name) {
  for (const auto& [theirs, remedy] : kGunicorn) {
    if (theirs == name) return std::string(remedy);
  }
  return suggestion(name, kHooks);
}

}  // namespace

void read_hooks(const toml::node& node, const Fail& fail, Hooks& into) {
  const toml::table* const table = node.as_table();
  if (table == nullptr) {
    return fail(
        node.source().begin, "config.wrong_type",
        fmt::format("hooks is {}; allowed is a table, which begins with [hooks]", type_of(node)));
  }
  for (const auto& [name, value] : *table) {
    const auto* const known = std::find(std::begin(kHooks), std::end(kHooks), name.str());
    if (known == std::end(kHooks)) {
      fail(name.source().begin, "config.unknown_key",
           fmt::format("unknown key {} in hooks; {}", in_quotes(name.str()),
                       remedy_for(name.str())));
      continue;
    }
    const auto hook = static_cast<Hook>(known - std::begin(kHooks));
    HookCommand command;
    command.fatal = is_fatal_by_default(hook);
    if (HookReader(fmt::format("hooks.{}", *known), fail, command).read(value)) {
      into[hook] = std::move(command);
    }
  }
}

void read_account(const toml::node& node, std::string_view key, const Fail& fail,
                  std::string& into) {
  constexpr std::string_view kAllowed = "a name in quotes, or a number from 0 to 4294967294";
  if (const auto* const name = node.as_string(); name != nullptr && is_plain(name->get())) {
    into = name->get();
    return;
  }
  // The highest means "unchanged" to the kernel.
  constexpr CountRange kIds{0, 4'294'967'294};
  const auto* const number = node.as_integer();
  if (number != nullptr && contains(kIds, number->get())) {
    into = std::to_string(number->get());
    return;
  }
  if (number != nullptr || node.is_string()) {
    return fail(node.source().begin, "config.out_of_range",
                fmt::format("{} is {}; allowed is {}", key,
                            number != nullptr ? std::to_string(number->get())
                                              : in_quotes(node.as_string()->get()),
                            kAllowed));
  }
  fail(node.source().begin, "config.wrong_type",
       fmt::format("{} is {}; allowed is {}", key, type_of(node), kAllowed));
}

void read_umask(const toml::node& node, std::string_view key, const Fail& fail,
                std::optional<unsigned>& into) {
  constexpr std::string_view kAllowed = "an octal number from \"000\" to \"777\", in quotes";
  const auto* const text = node.as_string();
  if (text == nullptr) {
    return fail(node.source().begin, "config.wrong_type",
                fmt::format("{} is {}; allowed is {}", key, type_of(node), kAllowed));
  }
  constexpr unsigned kMost = 0777;
  const char* const end = text->get().data() + text->get().size();
  unsigned mask = 0;
  const auto [stop, failure] = std::from_chars(text->get().data(), end, mask, 8);
  if (failure != std::errc{} || stop != end || mask > kMost) {
    return fail(node.source().begin, "config.out_of_range",
                fmt::format("{} is {}; allowed is {}", key, in_quotes(text->get()), kAllowed));
  }
  into = mask;
}

void read_switch(const toml::node& node, std::string_view key, const Fail& fail, bool& into) {
  if (const auto* const value = node.as_boolean()) {
    into = value->get();
    return;
  }
  fail(node.source().begin, "config.wrong_type",
       fmt::format("{} is {}; allowed is true or false, without quotes", key, type_of(node)));
}

}  // namespace sonicorn::config
