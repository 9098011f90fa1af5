#include "app/build_child.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <system_error>

#include "app/loader.hpp"
#include "app/trial.hpp"
#include "core/turns.hpp"

namespace sonicorn::app {

namespace fs = std::filesystem;
using Json = nlohmann::json;

namespace {

fs::path found_of(const fs::path& copy) { return copy.string() + ".json"; }
fs::path answer_of(const fs::path& copy) { return copy.string() + ".answer"; }

std::string take_file(const fs::path& path) {
  std::string text;
  {
    std::ifstream stream(path, std::ios::binary);
    text.assign(std::istreambuf_iterator<char>(stream), {});
  }
  std::error_code ignored;
  fs::remove(path, ignored);
  return text;
}

std::string text_of(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

std::string build_order(const config::App& wanted, const config::Config& config) {
  return text_of({{"file", wanted.file.string()},
                  {"check_owners", config.check_owners},
                  {"without", config.without}});
}

void build_child_main(const fs::path& copy, const std::string& order) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  core::step_back();
  const Json wanted = Json::parse(order);
  config::Config config;
  config.check_owners = wanted.at("check_owners");
  config.without = wanted.at("without").get<std::vector<std::string>>();
  const fs::path file = wanted.at("file").get<std::string>();
  const MadeBuild made = make_build(file, copy, offer_of(config), owners_of(config));
  Json found = {{"warnings", made.warnings}, {"reasons", Json::array()}};
  for (const core::Error& reason : made.reasons) {
    found["reasons"].push_back({static_cast<int>(reason.origin), reason.message});
  }
  if (made.build) found["build"] = describe(*made.build, made.build->inspection.name);
  {
    std::ofstream stream(found_of(copy), std::ios::binary);
    stream << text_of(found);
  }
  if (!made.build) ::_exit(EXIT_SUCCESS);
  const int answer =
      ::open(answer_of(copy).c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  load_and_end(copy, file, answer);
}

MadeBuild collect_build(const config::App& wanted, const config::Config& config,
                        const fs::path& copy, const BuildChildEnd& end,
                        const fs::path& executable) {
  MadeBuild made;
  const std::string answer = take_file(answer_of(copy));
  const Json found = Json::parse(take_file(found_of(copy)), nullptr, false);
  const auto refused = [&](core::Error error) {
    made.reasons.push_back(std::move(error));
    remove_build({.file = wanted.file, .copy = copy, .inspection = {}});
    return std::move(made);
  };
  if (!found.is_object() && end.timed_out) {
    return refused(loads_too_long(wanted.file, config.load_time));
  }
  if (!found.is_object()) {
    return refused(core::host_error(
        "host.trial_failed",
        fmt::format("{}: no build of it could be made in {}; free space there, or set runtime_dir "
                    "to a folder with more",
                    wanted.file.string(), copy.parent_path().string())));
  }
  made.warnings = found.value("warnings", std::vector<std::string>());
  for (const Json& reason : found.value("reasons", Json::array())) {
    made.reasons.emplace_back("app.refused", static_cast<core::Origin>(reason.at(0).get<int>()),
                              reason.at(1).get<std::string>());
  }
  if (!made.reasons.empty()) return made;
  if (end.timed_out) return refused(loads_too_long(wanted.file, config.load_time));
  if (auto loaded = trial_verdict(end.wait_status, answer, executable, wanted.file); !loaded) {
    return refused(loaded.error());
  }
  auto build = find_build(wanted.file, found.value("build", Json::object()));
  if (!build) return refused(build.error());
  made.build = *std::move(build);
  return made;
}

}  // namespace sonicorn::app
