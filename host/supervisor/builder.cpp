#include "supervisor/builder.hpp"

#include <cstdio>
#include <utility>

#include "app/build_child.hpp"
#include "app/elf_image.hpp"
#include "app/module.hpp"
#include "process/run.hpp"

namespace sonicorn::supervisor {
namespace {

KeptBuild kept(app::Build build) {
  return {new app::Build(std::move(build)), [](const app::Build* gone) {
            app::remove_build(*gone);
            delete gone;
          }};
}

bool same_content(const std::filesystem::path& file, const std::filesystem::path& copy) {
  const auto now = app::read_module_file(file);
  const auto then = app::read_module_file(copy);
  return now && then && *now == *then;
}

}  // namespace

Builder::Builder(boost::asio::io_context& io, process::Children& children)
    : io_(io), children_(children) {}

core::Result<void> Builder::open(const std::filesystem::path& parent) {
  auto folder = app::RuntimeDir::create(parent);
  if (!folder) return folder.error();
  folder_.emplace(std::move(*folder));
  return {};
}

void Builder::make(const config::App& wanted, const config::Config& config,
                   std::function<void(Made)> done) {
  const std::filesystem::path copy =
      app::private_copy_path(*folder_, wanted.file.stem().string(), ++last_);
  process::RunRequest request;
  request.file = process::own_executable();
  request.argv = {"sonicorn", "make-build", copy.string()};
  request.input = app::build_order(wanted, config);
  request.limit = config.load_time;
  process::run(io_, children_, std::move(request),
               [wanted, config, copy, done = std::move(done)](const process::RunEnd& end) {
                 if (end.error) return done({nullptr, {}, {*end.error}});
                 // What constructors have to say.
                 std::fwrite(end.output.data(), 1, end.output.size(), stderr);
                 app::MadeBuild made =
                     app::collect_build(wanted, config, copy, {end.wait_status, end.timed_out},
                                        process::own_executable());
                 done({made.build ? kept(*std::move(made.build)) : nullptr,
                       std::move(made.warnings), std::move(made.reasons)});
               });
}

core::Result<KeptBuild> Builder::copy(const app::Build& build) {
  auto copied =
      app::copy_build(build, app::private_copy_path(*folder_, build.file.stem().string(), ++last_));
  if (!copied) return copied.error();
  return kept(*std::move(copied));
}

bool is_whole(const std::string& content) { return app::ElfImage::parse(content).has_value(); }

bool is_current(const app::Build& build) {
  if (!same_content(build.file, build.copy)) return false;
  for (const std::filesystem::path& library : build.inspection.libraries_beside) {
    if (!same_content(library, app::library_copy(build.copy, library))) return false;
  }
  return true;
}

}  // namespace sonicorn::supervisor
