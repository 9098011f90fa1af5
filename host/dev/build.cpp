#include "dev/build.hpp"

#include <fmt/format.h>
#include <sys/wait.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <fstream>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "app/capabilities.hpp"
#include "app/inspection.hpp"
#include "app/module_file.hpp"
#include "config/load.hpp"

namespace sonicorn::dev {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr std::size_t kMostOutput = 256 * 1024;

// Where CMake and its users leave files for each other (cmake-file-api(7)).
constexpr const char* kQuery = ".cmake/api/v1/query/codemodel-v2";
constexpr const char* kReplies = ".cmake/api/v1/reply";

bool is_there(const fs::path& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

// An object without members where the file is none.
Json read_json(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  Json json = Json::parse(stream, nullptr, false);
  return json.is_object() ? json : Json::object();
}

// The newest index has the greatest name.
Json read_index(const fs::path& replies) {
  fs::path newest;
  std::error_code error;
  for (fs::directory_iterator each(replies, error), end; !error && each != end;
       each.increment(error)) {
    if (!each->path().filename().native().starts_with("index-")) continue;
    newest = std::max(newest, each->path());
  }
  return newest.empty() ? Json::object() : read_json(newest);
}

bool is_app(const fs::path& file) {
  const auto bytes = app::read_module_file(file);
  return bytes && !app::inspect(*bytes, file, app::Offer::of_server()).abi.empty();
}

}  // namespace

Build::Build(boost::asio::io_context& io, process::Children& children, fs::path folder,
             fs::path build_folder, fs::path sdk_dir)
    : io_(io),
      children_(children),
      folder_(std::move(folder)),
      build_folder_(std::move(build_folder)),
      sdk_dir_(std::move(sdk_dir)) {}

void Build::run(std::function<void(BuildEnd)> done) {
  done_ = std::move(done);
  end_ = {};
  begun_ = std::chrono::steady_clock::now();
  // A build folder that is configured does that again by itself when it has to, unless somebody has
  // removed it.
  is_configured_&& is_there(build_folder_ / "CMakeCache.txt") ? compile() : configure();
}

void Build::send_signal(int signal) const {
  if (command_ != nullptr) command_->send_signal_to_group(signal);
}

void Build::configure() {
  std::vector<std::string> argv{"cmake", "-S", folder_, "-B", build_folder_};
  if (!is_there(build_folder_ / "CMakeCache.txt")) {
    argv.emplace_back("-DCMAKE_BUILD_TYPE=Debug");
    if (!sdk_dir_.empty()) argv.push_back("-DSonicorn_DIR=" + sdk_dir_.string());
  }
  ask_for_targets(build_folder_);
  start(std::move(argv), "CMake cannot configure it", [this] {
    is_configured_ = true;
    compile();
  });
}

void Build::compile() {
  start({"cmake", "--build", build_folder_, "--parallel",
         std::to_string(config::available_processors())},
        "It does not build", [this] { finish(true, {}); });
}

void Build::start(std::vector<std::string> argv, std::string title, std::function<void()> next) {
  process::SpawnRequest request;
  request.argv = std::move(argv);
  auto command = Command::start(
      io_, children_, std::move(request),
      {.on_output =
           [this](std::string_view bytes) {
             end_.output += bytes.substr(0, kMostOutput - end_.output.size());
           },
       .on_end =
           [this, title, next = std::move(next)](int wait_status) {
             command_ = nullptr;
             if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0) return next();
             if (WIFSIGNALED(wait_status)) {
               end_.output += fmt::format("\ncmake was ended by {}\n", ending_of(wait_status));
             }
             finish(false, title);
           }});
  if (command) {
    command_ = *std::move(command);
    return;
  }
  end_.output += command.error().message + "\n";
  boost::asio::post(io_, [this, title = std::move(title)] { finish(false, title); });
}

void Build::finish(bool ok, std::string title) {
  end_.ok = ok;
  end_.title = std::move(title);
  end_.time = std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now() - begun_);
  std::exchange(done_, nullptr)(std::move(end_));
}

bool ask_for_targets(const fs::path& build_folder) {
  const fs::path query = build_folder / kQuery;
  std::error_code ignored;
  fs::create_directories(query.parent_path(), ignored);
  return std::ofstream(query).good();
}

std::vector<fs::path> apps_of_build(const fs::path& build_folder) {
  const fs::path replies = build_folder / kReplies;
  std::vector<fs::path> apps;
  try {
    const Json index = read_index(replies);
    for (const Json& object : index.at("objects")) {
      if (object.at("kind") != "codemodel") continue;
      const Json model = read_json(replies / object.at("jsonFile").get<std::string>());
      for (const Json& target : model.at("configurations").at(0).at("targets")) {
        const Json details = read_json(replies / target.at("jsonFile").get<std::string>());
        if (details.at("type") != "MODULE_LIBRARY") continue;
        for (const Json& artifact : details.at("artifacts")) {
          const fs::path file = build_folder / artifact.at("path").get<std::string>();
          if (is_app(file)) apps.push_back(file);
        }
      }
    }
  } catch (const Json::exception&) {
    // Some other CMake's answer: then no app was found.
  }
  std::sort(apps.begin(), apps.end());
  return apps;
}

}  // namespace sonicorn::dev
