// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <filesystem>
#include <sonicorn/testing/host.hpp>

#include "instance.hpp"
#include "manifest.hpp"
#include "module.hpp"
#include "world.hpp"

namespace sonicorn::testing {
namespace {

using detail::Manifest;
using detail::World;

constexpr const char* kExecutable = "/proc/self/exe";

bool is_meant(std::string_view id, std::string_view capability) {
  return id == capability || id.substr(0, id.find('/')) == capability;
}

// Throws Refused with a sentence for each capability that is required and not offered.
void check_requirements(const World& world, const Manifest& manifest, const std::string& name) {
  std::string sentences;
  for (const std::string& id : manifest.requires_) {
    const auto has = [&id](const std::vector<std::string>& ids) {
      return std::find(ids.begin(), ids.end(), id) != ids.end();
    };
    if (has(world.offered) || world.vendor_tables.contains(id)) continue;
    if (!sentences.empty()) sentences += '\n';
    sentences +=
        name + " requires the capability " + id + ", which " +
        (has(world.withheld) ? "this test withholds: let the host offer it"
                             : "this test host does not offer: give it one with Host::offer") +
        ", or move it from \"requires\" to \"uses\" and do without";
  }
  if (!sentences.empty()) throw Refused(sentences);
}

std::string executable_name() {
  std::error_code failure;
  return std::filesystem::read_symlink(kExecutable, failure).filename().string();
}

}  // namespace

Host::Host() : Host(HostOptions()) {}

Host::Host(HostOptions options) {
  const std::vector<std::string> without = options.without;
  world_ = std::make_shared<World>(std::move(options));
  world_->offered = detail::deliverable();
  for (const std::string& capability : without) withhold(capability);
}

Host::~Host() = default;

void Host::withhold(std::string_view capability) {
  std::vector<std::string>& offered = world_->offered;
  const auto kept = std::stable_partition(
      offered.begin(), offered.end(),
      [capability](const std::string& id) { return !is_meant(id, capability); });
  std::size_t found = static_cast<std::size_t>(offered.end() - kept);
  world_->withheld.insert(world_->withheld.end(), kept, offered.end());
  offered.erase(kept, offered.end());
  found += std::erase_if(world_->vendor_tables, [capability](const auto& entry) {
    return is_meant(entry.first, capability);
  });
  if (found == 0) {
    throw Misuse("the host does not offer " + std::string(capability) +
                 ", so there is nothing to withhold");
  }
}

void Host::offer(std::string_view capability, const void* table) {
  const std::size_t slash = capability.find('/');
  if (slash == std::string_view::npos || slash == 0 || slash + 1 == capability.size() ||
      table == nullptr) {
    throw Misuse("Host::offer takes NAME/REVISION and a table, not \"" + std::string(capability) +
                 "\"");
  }
  world_->vendor_tables.insert_or_assign(std::string(capability), table);
}

App Host::load(const std::string& file, AppOptions options) {
  const std::string name = std::filesystem::path(file).filename().string();
  const auto notes = detail::read_notes(file, name);
  if (!notes) {
    throw Refused(name +
                  " has no Sonicorn ABI mark: write SONICORN_MANIFEST({...}) or SONICORN_ABI_MARK "
                  "(C), or SONICORN_APP(...) (C++), once in the app's source and build it again");
  }
  Manifest manifest = detail::parse_manifest(*notes, name);
  if (manifest.name.empty()) manifest.name = std::filesystem::path(file).stem().string();
  check_requirements(*world_, manifest, name);
  auto module = std::make_unique<detail::Module>(file);
  const Functions functions = module->functions();
  return App(std::make_unique<detail::Instance>(world_, std::move(manifest), std::move(module),
                                                functions, std::move(options)));
}

App Host::link(AppOptions options) {
  const Functions functions = detail::linked_functions();
  bool any = false;
#define SONICORN_TESTING_IS_THERE(name) any = any || functions.name != nullptr;
  SONICORN_ATTRIBUTES(SONICORN_TESTING_IS_THERE)
#undef SONICORN_TESTING_IS_THERE
  if (!any) {
    throw Refused(executable_name() +
                  " has no attribute in it: add the app's sources to the test's executable, or "
                  "link its object library (a static one is left out by the linker)");
  }
  return link_class(functions, std::move(options));
}

App Host::link_class(Functions functions, AppOptions options) {
  const std::string name = executable_name();
  std::vector<std::string> texts = {options.manifest};
  if (options.manifest.empty()) {
    if (auto notes = detail::read_notes(kExecutable, name)) texts = *std::move(notes);
  }
  Manifest manifest = detail::parse_manifest(texts, name);
  if (manifest.name.empty()) manifest.name = name;
  check_requirements(*world_, manifest, manifest.name);
  return App(std::make_unique<detail::Instance>(world_, std::move(manifest), nullptr, functions,
                                                std::move(options)));
}

Response Host::get(std::string target) { return request({.target = std::move(target)}); }

Response Host::request(Request request) { return world_->pass(request); }

void Host::advance(std::chrono::milliseconds time) {
  if (time.count() < 0) throw Misuse("time does not go back");
  world_->advance(static_cast<std::uint64_t>(time.count()));
}

std::chrono::milliseconds Host::now() const {
  return std::chrono::milliseconds(static_cast<std::int64_t>(world_->now));
}

void Host::publish(std::string_view topic, std::string_view json) {
  if (topic.empty() || !detail::is_json(json)) {
    throw Misuse("a message has a topic and is JSON, not " + std::string(json));
  }
  world_->publish(topic, json);
  world_->finish();
}

void Host::settle() {
  world_->quiesce();
  world_->finish();
}

std::string Host::call_order() const { return detail::order_of(world_->calls, true); }
const std::vector<Call>& Host::calls() const { return world_->calls; }
void Host::forget_calls() { world_->calls.clear(); }

std::vector<LogLine> Host::log() const {
  const std::lock_guard lock(world_->mutex);
  return world_->log;
}

bool Host::logged(std::string_view part) const {
  const std::vector<LogLine> lines = log();
  return std::any_of(lines.begin(), lines.end(), [part](const LogLine& line) {
    return line.text.find(part) != std::string::npos;
  });
}

std::vector<ControlRequest> Host::control_requests() const {
  const std::lock_guard lock(world_->mutex);
  return world_->control_requests;
}

}  // namespace sonicorn::testing
