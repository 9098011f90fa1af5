#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "config/hooks.hpp"
#include "config/toml.hpp"

// The parts of the file that say how the server is operated: hooks, accounts. What is wrong goes to
// `fail` ("KEY is WHAT; allowed is ..."), and what it was for is then left as it was.
namespace sonicorn::config {

using Fail =
    std::function<void(toml::source_position where, std::string_view id, std::string_view what)>;

// [hooks]. Ids of errors: config.wrong_type, config.out_of_range, config.unknown_key,
// config.missing_key.
void read_hooks(const toml::node& node, const Fail& fail, Hooks& into);

// A user or a group: a name, or a number with or without quotes; nobody is looked up.
void read_account(const toml::node& node, std::string_view key, const Fail& fail,
                  std::string& into);

// A file mode mask like "027", in octal and in quotes: TOML would take 027 without them for no
// number, and 27 for a decimal one.
void read_umask(const toml::node& node, std::string_view key, const Fail& fail,
                std::optional<unsigned>& into);

// true or false.
void read_switch(const toml::node& node, std::string_view key, const Fail& fail, bool& into);

}  // namespace sonicorn::config
