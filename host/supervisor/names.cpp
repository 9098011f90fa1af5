#include "supervisor/names.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "app/loader.hpp"
#include "core/log.hpp"

namespace sonicorn::supervisor {

namespace {

// "hello" or "hello-2", of "hello".
bool is_of(const std::string& name, const std::string& base) {
  if (!name.starts_with(base)) return false;
  const std::string number = name.substr(base.size());
  return number.empty() || (number.size() > 1 && number.front() == '-' &&
                            number.find_first_not_of("0123456789", 1) == std::string::npos);
}

}  // namespace

std::string name_of(const config::App& wanted, const KeptBuild& build) {
  if (build != nullptr) return app::name_of(wanted, build->inspection);
  return wanted.name.empty() ? wanted.file.stem().string() : wanted.name;
}

std::string give_names(const std::vector<Served*>& all) {
  std::map<std::string, const Served*> taken;
  std::vector<Served*> unnamed;
  for (Served* const served : all) {
    if (!is_of(served->name, name_of(served->wanted, served->build))) served->name.clear();
    if (!served->wanted.name.empty()) served->name = served->wanted.name;
    if (served->name.empty()) {
      unnamed.push_back(served);
    } else if (const auto [first, is_new] = taken.emplace(served->name, served); !is_new) {
      return fmt::format("the apps at {} and {} would both be named {}; give one another name",
                         first->second->wanted.mount, served->wanted.mount, served->name);
    }
  }
  for (Served* const served : unnamed) {
    const std::string base = name_of(served->wanted, served->build);
    served->name = base;
    for (unsigned number = 2; !taken.emplace(served->name, served).second; ++number) {
      served->name = fmt::format("{}-{}", base, number);
    }
    if (served->name == base) continue;
    core::log::warning(
        "the app at {} is named {}, for the one at {} is {}; give it a name of its own "
        "(name = \"...\")",
        served->wanted.mount, served->name, taken.at(base)->wanted.mount, base);
  }
  return {};
}

}  // namespace sonicorn::supervisor
