#include "routing/router.hpp"

#include <algorithm>

namespace sonicorn::routing {

bool Router::add(app::App& app) {
  const app::Generation& generation = app.current();
  if (generation.handles_requests()) {
    const auto same = [&](const app::App* other) { return other->mount() == app.mount(); };
    if (std::any_of(apps_.begin(), apps_.end(), same)) return false;
    const auto shorter = [&](const app::App* other) {
      return other->mount().size() < app.mount().size();
    };
    apps_.insert(std::find_if(apps_.begin(), apps_.end(), shorter), &app);
  }
  if (generation.filters_requests()) filters_.push_back(&app);
  follows_ =
      follows_ || generation.filters_requests() || generation.attributes().on_disconnect != nullptr;
  return true;
}

void Router::remove(const app::App& app) {
  std::erase(apps_, &app);
  std::erase(filters_, &app);
}

app::App* Router::find(std::string_view path) const {
  for (app::App* app : apps_) {
    const std::string_view mount = app->mount();
    if (mount.empty()) return app;
    if (holds(mount, path)) return app;
  }
  return nullptr;
}

}  // namespace sonicorn::routing
