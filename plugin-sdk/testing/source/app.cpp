// SPDX-License-Identifier: Apache-2.0
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <sonicorn/testing/app.hpp>
#include <sonicorn/testing/error.hpp>

#include "instance.hpp"

namespace sonicorn::testing {

App::App(std::unique_ptr<detail::Instance> instance) : instance_(std::move(instance)) {}

App::App(App&&) noexcept = default;

App& App::operator=(App&& other) noexcept {
  App before(std::move(other));
  instance_.swap(before.instance_);
  return *this;
}

App::~App() {
  if (instance_ == nullptr) return;
  if (instance_->is_running()) {
    try {
      instance_->shutdown({});
    } catch (const std::exception& exception) {
      std::fprintf(stderr, "sonicorn testing: %s\n", exception.what());
      // The thread goes on in code that the test believes to be gone.
      if (instance_->is_stuck()) std::abort();
    }
  }
  if (!instance_->is_stuck()) return;
  // A thread may still use all of it. Kept where it can be found, so that it counts as no leak.
  static auto* const kept = new std::vector<std::unique_ptr<detail::Instance>>;
  kept->push_back(std::move(instance_));
}

const std::string& App::name() const { return instance_->name(); }
const std::string& App::mount() const { return instance_->mount(); }

Result App::start() { return instance_->start(); }
Result App::health() { return instance_->health(); }
Result App::ready() { return instance_->ready(); }

Response App::get(std::string target) { return request({.target = std::move(target)}); }

Response App::request(Request request) {
  instance_->require_running("a request");
  request.target.insert(0, instance_->mount());
  return instance_->world()->pass(request);
}

Result App::event(const ServerEvent& event) { return instance_->event(event); }

Result App::reload_settings(std::string settings) {
  return instance_->reload(SONICORN_RELOAD_SETTINGS, settings);
}
Result App::prepare_reload() {
  return instance_->reload(SONICORN_RELOAD_PREPARE, instance_->view().facts().settings);
}
Result App::abort_reload() {
  return instance_->reload(SONICORN_RELOAD_ABORTED, instance_->view().facts().settings);
}

Result App::drain(const Stop& why) { return instance_->drain(why); }
bool App::is_drained() const { return instance_->is_drained(); }

std::string App::describe() { return instance_->describe(); }

Result App::shutdown(const Stop& why) { return instance_->shutdown(why); }
Result App::shutdown(Reason reason) { return instance_->shutdown({.reason = reason}); }

const std::vector<Call>& App::calls() const { return instance_->calls; }
std::string App::call_order() const { return detail::order_of(instance_->calls, false); }
void App::forget_calls() { instance_->calls.clear(); }

std::vector<std::string> App::log() const {
  detail::World& world = *instance_->world();
  const std::lock_guard lock(world.mutex);
  std::vector<std::string> lines;
  for (const LogLine& line : world.log) {
    if (line.app == name()) lines.push_back(line.text);
  }
  return lines;
}

bool App::logged(std::string_view part) const {
  for (const std::string& line : log()) {
    if (line.find(part) != std::string::npos) return true;
  }
  return false;
}

Metric App::metric(std::string_view name) const {
  std::string names;
  for (Metric& metric : metrics()) {
    if (metric.name == name) return std::move(metric);
    names += (names.empty() ? "" : ", ") + metric.name;
  }
  throw Misuse("app " + instance_->name() + " has no metric " + std::string(name) + "; it has " +
               (names.empty() ? "none" : names));
}

std::vector<Metric> App::metrics() const {
  detail::World& world = *instance_->world();
  const std::lock_guard lock(world.mutex);
  std::vector<Metric> all;
  for (const auto& [name, metric] : instance_->view().metrics()) all.push_back(metric.is);
  return all;
}

}  // namespace sonicorn::testing
